"""Verbs about absences: recording, changing and taking back."""

from __future__ import annotations

from datetime import date

from django.db import transaction

from accounts import rules
from accounts.errors import AbsenceOverlaps, SubstituteFromAnotherDepartment
from accounts.models import Absence, User
from clearance.constraints import explained


@transaction.atomic
def record_absence(
    *, user: User, starts_on: date, ends_on: date, substitute: User, by: User, absence_id: int | None = None
) -> Absence:
    """Record (or, with `absence_id`, change) when somebody is away, both days included, and who stands in.

    :raises AbsenceOfAnotherDepartment: `by` is neither of the person's department nor an administrator, or lacks the
        permission, which heads and administrators have by their role.
    :raises AbsenceOverlaps: another absence of the same person covers one of the days.
    :raises SubstituteFromAnotherDepartment: the substitute works elsewhere.
    :raises NotAPerson: one of them is a service account.
    :raises ConstraintViolated: it ends before it starts, or somebody substitutes for themselves.
    """
    stored = Absence.objects.select_related("user").filter(pk=absence_id or 0)
    for person in (user, *(absence.user for absence in stored)):
        rules.require_absence_keeper(person, by, f"accounts.{'change' if absence_id else 'add'}_absence")
    rules.require_person(user, substitute)
    User.objects.select_for_update(no_key=True).get(pk=user.pk)  # one absence of a person at a time
    if substitute.department != user.department:
        raise SubstituteFromAnotherDepartment(substitute=substitute, department=user.get_department_display())
    overlapping = Absence.objects.filter(user=user, starts_on__lte=ends_on, ends_on__gte=starts_on)
    if other := overlapping.exclude(pk=absence_id or 0).first():
        raise AbsenceOverlaps(name=user, starts_on=other.starts_on, ends_on=other.ends_on)
    absence = Absence(pk=absence_id, user=user, starts_on=starts_on, ends_on=ends_on, substitute=substitute)
    with explained(Absence):
        absence.save()
    return absence


@transaction.atomic
def remove_absence(*, absence: Absence, by: User) -> None:
    """Take back an absence that was recorded in error, or that didn't happen.

    :raises AbsenceOfAnotherDepartment: `by` is neither of the person's department nor an administrator, or lacks the
        permission, which heads and administrators have by their role.
    """
    rules.require_absence_keeper(absence.user, by, "accounts.delete_absence")
    absence.delete()
