"""Internal Audit’s board: what is late, and whether what watches over it runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from accounts.choices import Department
from alerts import selectors as alerts
from alerts.models import Alert
from audit import selectors as trail
from metrics.pages.boards.parts import Fact, list_of
from metrics.selectors import boards
from outbox.choices import Channel
from workflow.choices import StepStatus
from workflow.models import WorkflowStep


def internal_audit(request: HttpRequest, *, on: date) -> dict[str, Any]:
    """What is late, and whether what watches over it runs; each of `_STATES` tells of one watcher."""
    counted = boards.open_alerts(request.user, on=on)
    return {
        "template": "admin/today/internal_audit.html",
        "title": _("What is late, and whether the watch is kept"),
        "facts": [
            Fact(counted["steps"], _("steps alerted and still open"), list_of(Alert, whose="all")),
            Fact(
                counted["urgent"],
                _("of them urgent"),
                list_of(Alert, whose="all", severity__exact="urgent"),
                is_bad=bool(counted["urgent"]),
            ),
            Fact(
                counted["steps"] - counted["answered"],
                _("without any answer"),
                list_of(Alert, whose="all", acknowledged="no"),
                is_bad=counted["steps"] > counted["answered"],
            ),
            Fact(
                counted["broken"],
                _("with a broken promise"),
                list_of(Alert, whose="all", acknowledged="broken"),
                is_bad=bool(counted["broken"]),
            ),
        ],
        "departments": [
            {
                **row,
                "name": Department(row["department"]).label,
                "days_late": (on - row["oldest"]).days,
                "url": list_of(WorkflowStep, department__exact=row["department"], status=StepStatus.OVERDUE.value),
            }
            for row in boards.overdue_by_department(request.user, on=on)
        ],
        "states": [state(at=timezone.now()) for state in _STATES],
    }


@dataclass(frozen=True, slots=True)
class State:
    """How a part of the machinery stands, in a sentence."""

    name: str
    told: str
    is_well: bool


def _sweep_state(*, at: datetime) -> State:
    run = alerts.complete_sweeps().first()
    if run is None:
        return State(_("Sweep"), _("It has never run."), is_well=False)
    told = _(
        "Last run on %(at)s. Shipments looked at: %(shipments)d, alerts raised: %(raised)d, of them late: %(late)d."
    )
    facts = {
        "at": date_format(timezone.localtime(run.finished_at), "DATETIME_FORMAT"),
        "shipments": run.shipments,
        "raised": run.raised,
        "late": run.late,
    }
    return State(_("Sweep"), told % facts, is_well=run.finished_at > at - alerts.LONGEST_SILENCE)


def _post_state(*, at: datetime) -> State:
    """Mail, and text messages where there are any."""
    found = boards.post()
    mail, sms = found[Channel.MAIL], found[Channel.SMS]
    told = [_("Mails waiting: %(waiting)d, refused for good: %(dead)d.") % {"waiting": mail.waiting, "dead": mail.dead}]
    if mail.down_since:
        told.append(_("The mail server has not answered since %(at)s.") % {"at": _moment(mail.down_since)})
    if sms.waiting or sms.dead:
        counted = {"waiting": sms.waiting, "dead": sms.dead}
        told.append(_("Text messages waiting: %(waiting)d, refused for good: %(dead)d.") % counted)
    if sms.down_since:
        told.append(_("The provider of text messages has not answered since %(at)s.") % {"at": _moment(sms.down_since)})
    return State(_("Mail"), " ".join(told), not any((mail.dead, mail.down_since, sms.dead, sms.down_since)))


def _moment(at: datetime) -> str:
    return date_format(timezone.localtime(at), "DATETIME_FORMAT")


def _trail_state(*, at: datetime) -> State:
    found = trail.state(at=at)
    told = _("Attempts denied in seven days: %(denied)d, entries waiting for a seal: %(waiting)d.")
    told %= {"denied": found.denied_in_seven_days, "waiting": found.waiting}
    if found.newest_seal is None:
        return State(_("Trail"), f"{told} {_('Nothing was ever sealed.')}", is_well=False)
    sealed_at = date_format(timezone.localtime(found.newest_seal.sealed_at), "DATETIME_FORMAT")
    newest = _("Newest seal: %(number)d, of %(at)s.") % {"number": found.newest_seal.number, "at": sealed_at}
    return State(_("Trail"), f"{told} {newest}", is_well=not found.is_behind)


_STATES = (_trail_state, _sweep_state, _post_state)
