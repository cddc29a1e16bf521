"""What can be refused about people and signing in."""

from django.utils.translation import gettext_lazy as _

from clearance.errors import Conflict, Forbidden, Invalid, Unauthenticated


class InvalidCredentials(Unauthenticated):
    code = "INVALID_CREDENTIALS"
    message = _("E-mail or password is wrong. Check both; an administrator can help.")


class TokenRefused(Unauthenticated):
    code = "TOKEN_NOT_VALID"
    message = _("The token is unknown, expired, used already or revoked. Sign in again.")


class WeakPassword(Invalid):
    code = "WEAK_PASSWORD"
    field = "password"
    message = "{reasons}"


class UserExists(Conflict):
    code = "USER_EXISTS"
    field = "email"
    message = _("Somebody with the e-mail address {email} exists already.")


class AbsenceOverlaps(Conflict):
    code = "ABSENCE_OVERLAPS"
    field = "starts_on"
    message = _("{name} is already recorded as absent from {starts_on} to {ends_on}. Change that absence instead.")


class AbsenceOfAnotherDepartment(Forbidden):
    code = "ABSENCE_OF_ANOTHER_DEPARTMENT"
    field = "user"
    message = _("Absences of {name} are recorded by the head of {department} or an administrator.")


class SubstituteFromAnotherDepartment(Invalid):
    code = "SUBSTITUTE_FROM_ANOTHER_DEPARTMENT"
    field = "substitute"
    message = _("A substitute works in the same department: {substitute} does not. Choose somebody of {department}.")


class LastAdministrator(Conflict):
    code = "LAST_ADMINISTRATOR"
    message = _("Nobody would be left to administer Clearance. Make somebody else an administrator first.")
