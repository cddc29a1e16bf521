"""What an older tracker would undo: values and dates that somebody has replaced since, as the history knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from django.db.models.expressions import RawSQL
from django.utils.translation import gettext as _

from clearance.clock import day_of
from shipments.models import Shipment
from shipments.rows import Fault, TrackerRow
from shipments.services.staging import Judged
from workflow import services as workflow


def set_backs(rows: Sequence[Judged]) -> list[Fault]:
    """What the rows would set back to a former value, each with a sentence that tells when that was replaced.

    Two statements, whatever the number of rows. The caller holds the shipments' locks.
    """
    known = {one.shipment.pk: (one.shipment, one) for one in rows if one.shipment}
    found = []
    for pk, name, at in _replaced_values({pk: one for pk, one in known.items() if one[0].version > 1}):
        shipment, judged = known[pk]
        new, old = judged.values[name], getattr(shipment, name)
        found.append(_fault(judged.row, name, old=old, new=new, at=at))
    dates = {pk: one.row.steps for pk, (_shipment, one) in known.items() if one.row.steps}
    for change, at in workflow.replaced_dates(dates=dates):
        row = known[change.shipment_id][1].row
        found.append(_fault(row, str(change.step_number), old=change.old, new=change.new, at=at))
    return sorted(found, key=lambda fault: fault.row)


def _replaced_values(known: Mapping[int, tuple[Shipment, Judged]]) -> Iterator[tuple[int, str, datetime]]:
    """Of what would be written, the fields that had this value before, and when it was replaced last."""
    names = sorted({name for _shipment, one in known.values() for name in one.values})
    if not names:
        return
    columns = [Shipment._meta.get_field(name).attname for name in names]  # type: ignore[union-attr]
    ids = RawSQL("SELECT unnest(%s::bigint[])", [list(known)])
    history = Shipment.history.model.objects.filter(id__in=ids).order_by("id", "history_date", "history_id")
    replaced: dict[tuple[int, str], datetime] = {}
    former: dict[str, Any] = {}
    latest = 0
    for pk, at, *values in history.values_list("id", "history_date", *columns):
        if pk != latest:
            latest, former = pk, {}
        wanted = known[pk][1].values
        for name, value in zip(names, values, strict=True):
            if name in wanted and name in former and former[name] == _raw(wanted[name]) != value:
                replaced[pk, name] = at
            former[name] = value
    for (pk, name), at in replaced.items():
        yield pk, name, at


def _raw(value: Any) -> Any:
    return getattr(value, "pk", value)


def _fault(row: TrackerRow, name: str, *, old: object, new: object, at: datetime) -> Fault:
    sentence = _(
        "“{new}” was replaced by “{old}” on {day}: the sheet seems to be older. Write the newer value, or import it "
        "again and allow it to set values back."
    )
    if old in (None, ""):
        sentence = _(
            "“{new}” was taken away on {day}: the sheet seems to be older. Clear the cell, or import it again and "
            "allow it to set values back."
        )
    reason = sentence.format(new=_told(new), old=_told(old), day=_told(day_of(at)))
    return Fault(row.row, row.headings.get(name, name), _told(new), reason)


def _told(value: object) -> str:
    return f"{value:%d/%m/%Y}" if isinstance(value, date) else str(value)
