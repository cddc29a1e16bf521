"""The Celery application; a task knows the request that it was sent from, and is counted."""

from __future__ import annotations

import os
import time
from typing import Any

from celery import Celery, Task

from clearance import context, telemetry

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clearance.settings")


class ContextTask(Task):
    """A task whose sender's request id travels with it, so that both write the same one into log and trail."""

    def apply_async(self, *args: Any, **options: Any) -> Any:
        options["headers"] = {"request_id": context.current().request_id, **(options.get("headers") or {})}
        return super().apply_async(*args, **options)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        request_id = (self.request.headers or {}).get("request_id") or self.request.id or ""
        started, is_done, result = time.perf_counter(), False, None
        try:
            with context.acting(channel="task", request_id=request_id):
                result = super().__call__(*args, **kwargs)
            is_done = True
        finally:
            seconds = time.perf_counter() - started
            telemetry.note_task(self.name, is_done=is_done, seconds=seconds, result=result)
        return result


app = Celery("clearance", task_cls=ContextTask)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
