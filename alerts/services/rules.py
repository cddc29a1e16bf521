"""The ladder and the calendar as data: loading the defaults, adding a rule, ending one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

from django.db import transaction

from accounts.models import User
from alerts.errors import RuleHasEnded
from alerts.models import EscalationRule, Holiday
from alerts.rules import LADDER
from clearance.constraints import explained, require_valid_fields
from clearance.errors import Forbidden


@transaction.atomic
def load_ladder(*, starts_on: date) -> None:
    """Load the default rules where there is no rule at all yet. Idempotent."""
    if EscalationRule.objects.exists():
        return
    EscalationRule.objects.bulk_create(
        EscalationRule(
            name=rung.name,
            from_day=rung.from_day,
            until_day=rung.until_day,
            severity=rung.severity,
            audiences=list(rung.audiences),
            starts_on=starts_on,
        )
        for rung in LADDER
    )


def load_holidays(*, holidays: Iterable[tuple[date, str, bool]]) -> None:
    """Add holidays (date, name, whether confirmed) on days that have none yet; what was edited stays. Idempotent."""
    Holiday.objects.bulk_create(
        [Holiday(on=on, name=name, is_confirmed=is_confirmed) for on, name, is_confirmed in holidays],
        ignore_conflicts=True,
    )


@transaction.atomic
def add_rule(
    *, name: str, from_day: int, until_day: int, severity: str, audiences: Sequence[str], starts_on: date, by: User
) -> EscalationRule:
    """Add a rung to the ladder, in force from `starts_on`.

    :raises Forbidden: `by` isn't an administrator. :raises InvalidFields: :raises ConstraintViolated:
    """
    if not by.has_perm("alerts.add_escalationrule"):
        raise Forbidden
    rule = EscalationRule(
        name=name,
        from_day=from_day,
        until_day=until_day,
        severity=severity,
        audiences=list(audiences),
        starts_on=starts_on,
    )
    require_valid_fields(rule)
    with explained(EscalationRule):
        rule.save(force_insert=True)
    return rule


@transaction.atomic
def end_rule(*, rule_id: int, on: date, by: User) -> EscalationRule:
    """Have a rule raise nothing from `on` on; what it raised stays.

    :raises Forbidden: `by` isn't an administrator. :raises RuleHasEnded: it has ended already.
    """
    if not by.has_perm("alerts.end_escalationrule"):
        raise Forbidden
    rule = EscalationRule.objects.select_for_update().get(pk=rule_id)
    if rule.ended_on is not None:
        raise RuleHasEnded(on=rule.ended_on)
    rule.ended_on = on
    with explained(EscalationRule):
        rule.save(update_fields=["ended_on"])
    return rule


@transaction.atomic
def save_holiday(*, holiday: Holiday, by: User) -> Holiday:
    """Add a holiday, or correct one; what was raised already stays where it is.

    :raises Forbidden: `by` isn't an administrator. :raises InvalidFields: :raises ConstraintViolated: the day has one.
    """
    if not by.has_perm("alerts.change_holiday" if holiday.pk else "alerts.add_holiday"):
        raise Forbidden
    require_valid_fields(holiday)
    with explained(Holiday):
        holiday.save()
    return holiday


@transaction.atomic
def remove_holiday(*, holiday: Holiday, by: User) -> None:
    """Take a day out of the calendar that is none after all.

    :raises Forbidden: `by` isn't an administrator.
    """
    if not by.has_perm("alerts.delete_holiday"):
        raise Forbidden
    Holiday.objects.filter(pk=holiday.pk).delete()
