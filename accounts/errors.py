"""What can be refused about people and signing in."""

from django.utils.translation import gettext_lazy as _

from clearance.errors import Conflict, Forbidden, Invalid, Unauthenticated


class InvalidCredentials(Unauthenticated):
    code = "INVALID_CREDENTIALS"
    message = _("E-mail or password is wrong. Check both; an administrator can help.")
    is_denial = True


class WrongPassword(InvalidCredentials):
    field = "current_password"
    message = _("The current password is wrong.")


class AccountLocked(Unauthenticated):
    """Known and unknown addresses lock alike: it tells nothing about who exists."""

    code = "ACCOUNT_LOCKED"
    message = _("Signing in failed too often. Try again in {wait}; an administrator can unlock you at once.")
    is_denial = True


class TotpRequired(Unauthenticated):
    code = "TOTP_REQUIRED"
    field = "totp_code"
    message = _("Send the code of your authenticator app, or a backup code, as well.")


class InvalidSecondFactorCode(Unauthenticated):
    code = "INVALID_2FA_CODE"
    field = "totp_code"
    message = _("The code is wrong or was used already. Wait for the next one, or take a backup code.")
    is_denial = True


class SecondFactorIsOn(Conflict):
    code = "SECOND_FACTOR_IS_ON"
    message = _("A second factor is set up already. Turn it off first.")


class SecondFactorIsOff(Conflict):
    code = "SECOND_FACTOR_IS_OFF"
    message = _("No second factor is set up. Begin with setting one up.")


class SecondFactorRequired(Forbidden):
    code = "SECOND_FACTOR_REQUIRED"
    message = _("Your role requires a second factor. If you lost yours, an administrator resets it.")


class LinkRefused(Invalid):
    code = "LINK_NOT_VALID"
    field = "token"
    message = _("The link is unknown, too old or was used already. Ask for another one.")


class TokenRefused(Unauthenticated):
    code = "TOKEN_NOT_VALID"
    message = _("The token is unknown, expired, used already or revoked. Sign in again.")
    is_denial = True


class WeakPassword(Invalid):
    code = "WEAK_PASSWORD"
    field = "password"
    message = "{reasons}"


class PasswordReused(Invalid):
    code = "PASSWORD_REUSED"
    field = "password"
    message = _("This is one of your last five passwords. Choose another one.")


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


class IdempotencyKeyNotValid(Invalid):
    code = "IDEMPOTENCY_KEY_NOT_VALID"
    field = "Idempotency-Key"
    message = _("An Idempotency-Key has 1 to 255 printable ASCII characters. Send another, a UUID for example.")


class IdempotencyKeyReused(Invalid):
    code = "IDEMPOTENCY_KEY_REUSED"
    field = "Idempotency-Key"
    message = _("This Idempotency-Key came with another body before. Send a new request with a new key.")


class IdempotencyInFlight(Conflict):
    code = "IDEMPOTENCY_IN_FLIGHT"
    message = _("The same request is still being worked on. Send it again in a few seconds, with the same key.")


class LastAdministrator(Conflict):
    code = "LAST_ADMINISTRATOR"
    message = _("Nobody would be left to administer Clearance. Make somebody else an administrator first.")
