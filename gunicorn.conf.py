"""What every web process does beside serving: its workers count for Prometheus together (clearance.telemetry).

Each web has a folder of its own for that, new at every start and gone at the end.
"""

import os
import shutil
import tempfile

FOLDER = os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="clearance-metrics-")

# Only now: the library looks for the folder as it is imported.
from prometheus_client.multiprocess import mark_process_dead


def child_exit(server, worker):
    mark_process_dead(worker.pid)


def on_exit(server):
    shutil.rmtree(FOLDER, ignore_errors=True)
