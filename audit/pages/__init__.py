"""The history of every record, in the place of the stock page."""

from audit.pages.history import history, snapshot
from clearance.admin.pages import Page

_RECORD = "<slug:app_label>/<slug:model_name>/<path:object_id>/history/"

PAGES = (Page(_RECORD, "history", history), Page(f"{_RECORD}<int:entry_id>/", "snapshot", snapshot))
