"""The Celery application; a task knows the request that it was sent from."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery, Task

from clearance import context

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clearance.settings")


class ContextTask(Task):
    """A task whose sender's request id travels with it, so that both write the same one into log and trail."""

    def apply_async(self, *args: Any, **options: Any) -> Any:
        options["headers"] = {"request_id": context.current().request_id, **(options.get("headers") or {})}
        return super().apply_async(*args, **options)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        request_id = (self.request.headers or {}).get("request_id") or self.request.id or ""
        with context.acting(channel="task", request_id=request_id):
            return super().__call__(*args, **kwargs)


app = Celery("clearance", task_cls=ContextTask)
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
