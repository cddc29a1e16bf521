"""What the trail remembers of which records, and what the application may do where it remembers nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


def ahead(column: str, most: str) -> str:
    """SQL: a moment lies at most so far ahead, by the database's clock."""
    return f"n.{column} <= clock_timestamp() + interval '{most}'"


@dataclass(frozen=True, kw_only=True)
class Tracked:
    """What the trail leaves out of a model, and what it tells of it in other words.

    `redacted` columns are mentioned without their values. `ignored` ones are machinery that changes all the time: each
    with what the database requires of a new value in SQL (`n` is the row), or "" where nothing hangs on it. `link` is
    for the table between two models: the record that it belongs to, its column, what the link is called there, and the
    column of the other end. `when` is SQL about a `{row}`: only where it is true, before or after, is there an entry.
    """

    redacted: frozenset[str] = frozenset()
    ignored: Mapping[str, str] = field(default_factory=dict)
    link: tuple[str, str, str, str] | None = None
    when: str = ""


@dataclass(frozen=True)
class Untracked:
    """Why the trail says nothing of a model, and what the application may do with its table."""

    why: str
    may: str = "SELECT"


TRACKED: dict[str, Tracked] = {
    "accounts.user": Tracked(redacted=frozenset({"password"})),
    "accounts.user_groups": Tracked(link=("accounts.user", "user_id", "groups", "group_id")),
    "accounts.user_divisions": Tracked(link=("accounts.user", "user_id", "divisions", "division_id")),
    "accounts.override": Tracked(),
    "accounts.division": Tracked(),
    "accounts.absence": Tracked(),
    "accounts.signin": Tracked(redacted=frozenset({"refresh_hash"}), ignored={"refresh_hash": "", "last_used_at": ""}),
    "accounts.apikey": Tracked(
        redacted=frozenset({"key_hash"}),
        # A refusal is told again a minute after the last one that was.
        ignored={"last_used_at": "", "last_used_from": "", "last_refused_at": ahead("last_refused_at", "5 minutes")},
    ),
    "accounts.oldpassword": Tracked(redacted=frozenset({"password"})),
    "accounts.ticket": Tracked(),
    "accounts.secondfactor": Tracked(
        redacted=frozenset({"secret"}),
        ignored={"last_step": "n.last_step <= extract(epoch FROM clock_timestamp()) / 30 + 2"},
    ),
    "accounts.backupcode": Tracked(redacted=frozenset({"code_hash"})),
    "accounts.requiredsecondfactor": Tracked(),
    # The key is a hash of what the browser holds. Sessions of nobody come with every visit to the page for signing in.
    "accounts.browsersession": Tracked(
        redacted=frozenset({"session_data"}),
        ignored={"session_data": "", "seen_at": "", "expire_date": ahead("expire_date", "1 day")},
        when="{row}.user_id IS NOT NULL",
    ),
    # Each failure has an entry of its own; this is of locks, and of who lifts one.
    "accounts.failedsignins": Tracked(
        ignored={"failures": "", "locks": "", "last_failed_at": ""}, when="{row}.locked_until > clock_timestamp()"
    ),
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
    "alerts.sweeprun": Tracked(),
    "outbox.message": Tracked(ignored={"leased_until": ahead("leased_until", "15 minutes")}),
    "outbox.attachment": Tracked(redacted=frozenset({"content"})),
    "outbox.mutedmail": Tracked(),
    "outbox.wantedtext": Tracked(),
    "outbox.smstemplate": Tracked(),
    "audit.evidencepack": Tracked(),
    "outbox.carrier": Tracked(ignored={"next_probe_at": ahead("next_probe_at", "5 minutes")}),
    "django_celery_beat.periodictask": Tracked(
        ignored={
            "last_run_at": ahead("last_run_at", "5 minutes"),
            "date_changed": ahead("date_changed", "5 minutes"),
            "total_run_count": "",
        }
    ),
    "django_celery_beat.crontabschedule": Tracked(),
    "django_celery_beat.intervalschedule": Tracked(),
    "django_celery_beat.solarschedule": Tracked(),
    "django_celery_beat.clockedschedule": Tracked(),
}

# Whatever is not tracked can only be read by the application, unless it says otherwise here.
UNTRACKED: dict[str, Untracked] = {
    "admin.logentry": Untracked("is not written: the trail takes its place"),
    "auth.permission": Untracked("follows from the code"),
    "contenttypes.contenttype": Untracked("follows from the code"),
    "sessions.session": Untracked("is empty: accounts.browsersession takes its place"),
    "django_celery_beat.periodictasks": Untracked(
        "is beat's note that a schedule changed; the schedule has its own entry", "SELECT, INSERT, UPDATE"
    ),
    "accounts.serviceaccount": Untracked("is a person's row by another name"),
    "accounts.rolegroup": Untracked("is auth.group by another name"),
    "accounts.keptanswer": Untracked(
        "repeats for a day what a request was answered; what that changed has its entries", "SELECT, INSERT, DELETE"
    ),
    "metrics.metric": Untracked("has no rows: figures are reckoned, not kept"),
    "audit.auditentry": Untracked("is the trail"),
    "audit.seal": Untracked("proves the trail"),
    "shipments.historicalshipment": Untracked("is written with the trail"),
    "workflow.historicalworkflowstep": Untracked("is written with the trail"),
}

# The application may do everything with a tracked table but empty it: each of its writes leaves an entry.
MAY_WRITE = "SELECT, INSERT, UPDATE, DELETE"
# Where it takes numbers by itself; elsewhere a column is numbered without any right to its sequence.
NUMBERED_BY_HAND = ("outbox.message",)


def rights_of(label: str) -> str:
    """What the application may do with the rows of a model."""
    return MAY_WRITE if label in TRACKED else UNTRACKED[label].may
