"""What can be refused about people and signing in."""

from django.utils.translation import gettext_lazy as _

from clearance.errors import Conflict, Forbidden, Invalid, Unauthenticated, Unavailable


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
    message = _("The code is wrong or was used already. Wait for the next one, or take a backup code if you have any.")
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


class SecondFactorOwed(Forbidden):
    code = "SECOND_FACTOR_OWED"
    message = _(
        "Your role requires a second factor. Set it up first, with /auth/2fa/setup and /auth/2fa/enable or in the back "
        "office; nothing else is answered before."
    )


class LinkRefused(Invalid):
    code = "LINK_NOT_VALID"
    field = "token"
    message = _("The link is unknown, too old or was used already. Ask for another one.")


class TokenRefused(Unauthenticated):
    code = "TOKEN_NOT_VALID"
    message = _("The token is unknown, expired, used already or revoked. Sign in again.")
    is_denial = True


class ApiKeyRefused(TokenRefused):
    """Tells the caller nothing of why; `user_id` says whose key it is, where that is known."""

    message = _("The API key is unknown, expired, revoked or not for this address. An administrator can tell which.")


class ApiKeyNotGood(Conflict):
    code = "API_KEY_NOT_GOOD"
    message = _("This API key was revoked or replaced already, or has expired. Issue another one.")


class TooManyApiKeys(Conflict):
    code = "TOO_MANY_API_KEYS"
    message = _("{account} has {most} good API keys already. Revoke one that is no longer used first.")


class ServiceAccountInactive(Conflict):
    code = "SERVICE_ACCOUNT_INACTIVE"
    message = _("{account} is deactivated. Activate it again first.")


class ScopesBeyondRole(Invalid):
    code = "SCOPES_BEYOND_ROLE"
    field = "scopes"
    message = _("The role of {account} does not allow: {scopes}. Leave these out, or change the role first.")


class ScopesBeyondYours(Forbidden):
    code = "SCOPES_BEYOND_YOURS"
    message = _("You may not give away what you may not do yourself: {scopes}. An administrator can.")


class NetworkNotValid(Invalid):
    code = "NETWORK_NOT_VALID"
    field = "allowed_networks"
    message = _("{network} is no network. Write it like 203.0.113.0/24 or 2001:db8::/32, or a single address.")


class ExpiryNotValid(Invalid):
    code = "EXPIRY_NOT_VALID"
    field = "expires_at"
    message = _("An API key expires after now, within a year.")


class GraceTooLong(Invalid):
    code = "GRACE_TOO_LONG"
    field = "grace_hours"
    message = _("The old key is good for {hours} hours more at most.")


class NotAPerson(Invalid):
    code = "NOT_A_PERSON"
    message = _("{name} is a service account. Choose a person.")


class PeopleOnly(Forbidden):
    code = "PEOPLE_ONLY"
    message = _("This is for people who sign in. A service account has API keys, which administrators manage.")


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


class IdempotencyInFlight(Conflict):
    code = "IDEMPOTENCY_IN_FLIGHT"
    message = _("The same request is still being worked on. Send it again in a few seconds, with the same key.")


class LastAdministrator(Conflict):
    code = "LAST_ADMINISTRATOR"
    message = _("Nobody would be left to administer Clearance. Make somebody else an administrator first.")


class ProviderUnavailable(Unavailable):
    code = "PROVIDER_UNAVAILABLE"
    message = _("The company sign-in can't be reached now. Try again in a minute; nothing was changed.")


class SignInNotBegun(Unauthenticated):
    """The answer belongs to no sign-in of this browser: it was used already, began too long ago, or in another one."""

    code = "SIGN_IN_NOT_BEGUN"
    message = _("This sign-in began in another browser, too long ago, or was used already. Begin again here.")
    is_denial = True


class RefusedByProvider(Unauthenticated):
    code = "REFUSED_BY_PROVIDER"
    message = _("The company sign-in did not let you in, or you stopped it. Begin again, or ask who looks after it.")
    is_denial = True


class IdentityNotProved(Unauthenticated):
    code = "IDENTITY_NOT_PROVED"
    message = _("The answer of the company sign-in can't be trusted or came too late. Begin again.")
    is_denial = True


class EmailNotVerified(Unauthenticated):
    code = "EMAIL_NOT_VERIFIED"
    message = _("The company sign-in has not verified your e-mail address. Have it verified there, then begin again.")
    is_denial = True


class BoundToAnotherIdentity(Unauthenticated):
    code = "BOUND_TO_ANOTHER_IDENTITY"
    message = _(
        "Your e-mail address belongs to somebody who signs in with another company account. An administrator can "
        "release it on the page of that person."
    )
    is_denial = True


class KeptOut(Unauthenticated):
    code = "KEPT_OUT"
    message = _("Your account is deactivated or not meant for the back office. An administrator can change that.")
    is_denial = True


class NoIdentity(Conflict):
    code = "NO_IDENTITY"
    message = _("This person signs in with no company account.")


class AdministratorsOnly(Forbidden):
    code = "ADMINISTRATORS_ONLY"
    message = _("Only an administrator makes, changes or signs in administrators.")


class BeyondYourRights(Forbidden):
    code = "BEYOND_YOUR_RIGHTS"
    message = _(
        "You can give or look after only rights that you have yourself. An administrator can do this: {rights}."
    )


class UnknownRight(Invalid):
    code = "UNKNOWN_RIGHT"
    field = "permissions"
    message = _("There is no such permission: {names}. /api/v1/permissions lists them all.")


class RoleNameTaken(Conflict):
    code = "ROLE_NAME_TAKEN"
    field = "name"
    message = _("There is a role called {name} already. Choose another name.")


class SystemRoleIsFixed(Conflict):
    code = "SYSTEM_ROLE_IS_FIXED"
    message = _("{name} follows from department and role; it can be neither changed nor given. Add a role beside it.")


class RoleIsHeld(Conflict):
    code = "ROLE_IS_HELD"
    message = _("{name} is held by people ({count}). Take the role from them first.")


class PersonDeactivated(Conflict):
    code = "PERSON_DEACTIVATED"
    message = _("{name} is deactivated. Activate them again first.")
