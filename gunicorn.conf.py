"""What every web process is, wherever it runs: a worker of ours, and counters that its workers share for Prometheus.

Each web has a folder of its own for these, new at every start and gone at the end (clearance.telemetry).
"""

import os
import shutil
import tempfile

worker_class = "clearance.web.WebWorker"
preload_app = True  # loaded once, then shared by the workers
control_socket_disable = True

FOLDER = os.environ["PROMETHEUS_MULTIPROC_DIR"] = tempfile.mkdtemp(prefix="clearance-metrics-")

# Only now: the library looks for the folder as it is imported.
from prometheus_client.multiprocess import mark_process_dead


def child_exit(server, worker):
    mark_process_dead(worker.pid)


def on_exit(server):
    shutil.rmtree(FOLDER, ignore_errors=True)
