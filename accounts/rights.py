"""What each right allows, in clerks' words, by kind of work. Who has which is for `accounts.rules`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

WORDS: Mapping[StrPromise, Mapping[str, StrPromise]] = {
    _("Shipments"): {
        "shipments.view_shipment": _("See shipments"),
        "shipments.add_shipment": _("Register shipments"),
        "shipments.change_shipment": _("Change what the papers of a shipment say"),
        "shipments.change_eta": _("Change an ETA (works for the Business Unit only)"),
        "shipments.import_shipment": _("Import a tracker, with steps of every department"),
        "shipments.cancel_shipment": _("Cancel shipments"),
        "shipments.delete_shipment": _("Delete shipments"),
        "shipments.restore_shipment": _("Bring back cancelled and deleted shipments"),
    },
    _("Steps"): {
        "workflow.view_workflowstep": _("See steps"),
        "workflow.complete_workflowstep": _("Complete one's own steps, or mark them as not required"),
        "workflow.reopen_workflowstep": _("Reopen steps of one's own department"),
    },
    _("Procedures and responsibilities"): {
        "workflow.view_workflowtemplate": _("See procedures"),
        "workflow.view_templatestep": _("See the steps of procedures"),
        "workflow.change_workflowtemplate": _("Choose the version of a procedure for new shipments"),
        "workflow.view_responsibility": _("See who is responsible for which step"),
        "workflow.add_responsibility": _("Name who is responsible for a step of one's own department"),
        "workflow.change_responsibility": _("Change who is responsible for a step of one's own department"),
        "workflow.delete_responsibility": _("Remove who is responsible for a step of one's own department"),
        "workflow.view_departmentfallback": _("See who stands in where nobody is named for a step"),
        "workflow.add_departmentfallback": _("Name who stands in where nobody is named for a step"),
        "workflow.change_departmentfallback": _(
            "Change who stands in where nobody is named, and apply responsibilities to open steps"
        ),
        "workflow.delete_departmentfallback": _("Remove who stands in where nobody is named for a step"),
    },
    _("Alerts"): {
        "alerts.view_alert": _("See alerts"),
        "alerts.acknowledge_alert": _("Acknowledge one's own alerts"),
        "alerts.view_escalationrule": _("See the ladder of escalation"),
        "alerts.add_escalationrule": _("Add rules to the ladder of escalation"),
        "alerts.end_escalationrule": _("End rules of the ladder of escalation"),
        "alerts.view_holiday": _("See holidays"),
        "alerts.add_holiday": _("Add holidays"),
        "alerts.change_holiday": _("Change holidays"),
        "alerts.delete_holiday": _("Remove holidays"),
        "alerts.view_sweeprun": _("See how the daily sweeps went"),
        "alerts.run_sweep": _("Start a sweep by hand"),
    },
    _("People"): {
        "accounts.view_user": _("See people, their roles and rights"),
        "accounts.add_user": _("Invite and take on people, with no more rights than one's own"),
        "accounts.change_user": _("Change people, roles and rights, up to one's own rights"),
        "accounts.view_division": _("See divisions"),
        "accounts.add_division": _("Add divisions"),
        "accounts.change_division": _("Rename divisions"),
        "accounts.view_absence": _("See who is absent"),
        "accounts.add_absence": _("Record absences in one's own department"),
        "accounts.change_absence": _("Change absences in one's own department"),
        "accounts.delete_absence": _("Take back absences in one's own department"),
        "accounts.view_signin": _("See who is signed in at the API"),
        "accounts.view_identityrule": _("See what newcomers from the company sign-in become"),
        "accounts.add_identityrule": _("Say what newcomers from the company sign-in become, up to one's own rights"),
        "accounts.change_identityrule": _("Change what newcomers from the company sign-in become"),
        "accounts.delete_identityrule": _("Remove what newcomers from the company sign-in become"),
        "accounts.manage_serviceaccount": _("Look after service accounts and their API keys, up to one's own rights"),
    },
    _("Messages"): {
        "outbox.view_message": _("See messages and how they were delivered"),
        "outbox.resend_message": _("Send again what the mail server refused"),
        "outbox.view_carrier": _("See whether mail and text messages go out"),
        "outbox.view_smstemplate": _("See the wording of text messages"),
        "outbox.change_smstemplate": _("Word text messages anew"),
    },
    _("Trail and metrics"): {
        "audit.view_auditentry": _("Read and export the audit trail"),
        "audit.view_seal": _("See the seals of the audit trail"),
        "metrics.view_metric": _("See metrics"),
    },
    _("Schedule"): {
        "django_celery_beat.view_periodictask": _("See scheduled tasks"),
        "django_celery_beat.change_periodictask": _("Change scheduled tasks"),
        "django_celery_beat.view_crontabschedule": _("See the hours of scheduled tasks"),
        "django_celery_beat.view_intervalschedule": _("See the intervals of scheduled tasks"),
    },
}
_BY_CODENAME = {name.split(".")[1]: words for group in WORDS.values() for name, words in group.items()}


def in_words(codename: str) -> str:
    """Say what a right allows, by the last part of its name; one that nobody uses here keeps its name."""
    return str(_BY_CODENAME.get(codename, codename))


def choices(names: frozenset[str]) -> list[tuple[StrPromise, list[tuple[str, StrPromise]]]]:
    """These rights (`app.codename`) as the choices of a form, by kind of work."""
    return [
        (kind, kept)
        for kind, group in WORDS.items()
        if (kept := [(name, words) for name, words in group.items() if name in names])
    ]
