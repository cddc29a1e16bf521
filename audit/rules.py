"""What the trail remembers of which records, and how long it is kept."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Tracked:
    """What the trail leaves out of a model, and what it tells of it in other words.

    `redacted` columns are mentioned without their values; `ignored` ones are machinery that changes all the time.
    `link` is for the table between two models: the record that it belongs to, its column, what the link is called
    there, and the column of the other end.
    """

    redacted: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()
    link: tuple[str, str, str, str] | None = None


TRACKED: dict[str, Tracked] = {
    "accounts.user": Tracked(redacted=frozenset({"password"})),
    "accounts.user_groups": Tracked(link=("accounts.user", "user_id", "groups", "group_id")),
    "accounts.user_divisions": Tracked(link=("accounts.user", "user_id", "divisions", "division_id")),
    "accounts.override": Tracked(),
    "accounts.division": Tracked(),
    "accounts.absence": Tracked(),
    "accounts.signin": Tracked(
        redacted=frozenset({"refresh_hash"}), ignored=frozenset({"refresh_hash", "last_used_at"})
    ),
    "accounts.apikey": Tracked(
        redacted=frozenset({"key_hash"}), ignored=frozenset({"last_used_at", "last_used_from", "last_refused_at"})
    ),
    "accounts.oldpassword": Tracked(redacted=frozenset({"password"})),
    "accounts.ticket": Tracked(),
    "accounts.secondfactor": Tracked(redacted=frozenset({"secret"}), ignored=frozenset({"last_step"})),
    "accounts.backupcode": Tracked(redacted=frozenset({"code_hash"})),
    "accounts.requiredsecondfactor": Tracked(),
    "accounts.identityrule": Tracked(),
    "auth.group": Tracked(),
    "auth.group_permissions": Tracked(link=("auth.group", "group_id", "permissions", "permission_id")),
    "shipments.shipment": Tracked(),
    "workflow.workflowtemplate": Tracked(),
    "workflow.templatestep": Tracked(),
    "workflow.responsibility": Tracked(),
    "workflow.departmentfallback": Tracked(),
    "workflow.workflowstep": Tracked(),
    "alerts.escalationrule": Tracked(),
    "alerts.holiday": Tracked(),
    "alerts.alert": Tracked(),
    "outbox.message": Tracked(ignored=frozenset({"leased_until"})),
    "outbox.attachment": Tracked(redacted=frozenset({"content"})),
    "outbox.mutedmail": Tracked(),
    "outbox.wantedtext": Tracked(),
    "outbox.smstemplate": Tracked(),
    "django_celery_beat.periodictask": Tracked(ignored=frozenset({"last_run_at", "total_run_count", "date_changed"})),
    "django_celery_beat.crontabschedule": Tracked(),
    "django_celery_beat.intervalschedule": Tracked(),
    "django_celery_beat.solarschedule": Tracked(),
    "django_celery_beat.clockedschedule": Tracked(),
}

# Why the trail says nothing of the others.
UNTRACKED: dict[str, str] = {
    "admin.logentry": "is not written: the trail takes its place",
    "auth.permission": "follows from the code",
    "contenttypes.contenttype": "follows from the code",
    "sessions.session": "is empty: accounts.browsersession takes its place",
    "accounts.browsersession": "is a secret that comes and goes; signing in leaves an entry of the person",
    "django_celery_beat.periodictasks": "is beat's note that a schedule changed; the schedule has its own entry",
    "accounts.serviceaccount": "is a person's row by another name",
    "accounts.rolegroup": "is auth.group by another name",
    "accounts.keptanswer": "repeats for a day what a request was answered; what that changed has its entries",
    "accounts.failedsignins": "counts failures, each of which has an entry of its own; so has unlocking",
    "alerts.sweeprun": "is a log itself, of runs",
    "outbox.carrier": "is the state of a server, not of the business",
    "metrics.metric": "has no rows: figures are reckoned, not kept",
    "audit.auditentry": "is the trail",
    "audit.seal": "proves the trail",
    "shipments.historicalshipment": "is written with the trail",
    "workflow.historicalworkflowstep": "is written with the trail",
}
