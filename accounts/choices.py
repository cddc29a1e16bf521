"""Departments, roles and languages; what a link in a mail is for, what became of an API key."""

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class Department(TextChoices):
    """The six departments; the first four hand the shipment file to each other."""

    BUSINESS_UNIT = "BusinessUnit", _("Business Unit")
    FINANCE = "Finance", _("Finance")
    CUSTOMS = "C&C", _("Customs & Clearance")
    STORES = "Stores", _("Stores")
    INTERNAL_AUDIT = "IA", _("Internal Audit")
    MANAGEMENT = "Management", _("Management")


class Role(TextChoices):
    """What a person is within the department."""

    PPR = "PPR", _("PPR (primary person responsible)")
    APR = "APR", _("APR (alternate person responsible)")
    MANAGER = "Manager", _("Head of department")
    ADMIN = "Admin", _("Administrator")
    READ_ONLY = "ReadOnly", _("Read only")


class MessageKind(TextChoices):
    """The messages about people's accounts."""

    LOCKOUT = "lockout", _("Signing in was locked")
    PASSWORD_RESET = "password_reset", _("Set a new password")
    EMAIL_VERIFICATION = "email_verification", _("Verify the e-mail address")
    INVITATION = "invitation", _("Invitation to Clearance")
    WELCOME = "welcome", _("Welcome to Clearance")
    PASSWORD_CHANGED = "password_changed", _("The password was changed")
    SECOND_FACTOR_OFF = "second_factor_off", _("The second factor was turned off")


class Purpose(TextChoices):
    """What a link in a mail does."""

    RESET = "reset", _("Set a new password")
    VERIFY = "verify", _("Verify the e-mail address")
    INVITE = "invite", _("Invitation to Clearance")


class KeyState(TextChoices):
    """What became of an API key."""

    GOOD = "good", _("Good")
    EXPIRES_SOON = "expires_soon", _("Expires soon")
    REPLACED = "replaced", _("Being replaced")
    EXPIRED = "expired", _("Expired")
    REVOKED = "revoked", _("Revoked")


WORKING_DEPARTMENTS = (Department.BUSINESS_UNIT, Department.FINANCE, Department.CUSTOMS, Department.STORES)
DEPARTMENTS = [(department.value, department.label) for department in WORKING_DEPARTMENTS]  # as choices of a field
OWN_STEPS_ONLY = (Department.FINANCE, Department.CUSTOMS, Department.STORES)
OVERSIGHT = (Department.INTERNAL_AUDIT, Department.MANAGEMENT)
WORKING_ROLES = (Role.PPR, Role.APR, Role.MANAGER)
SERVICE_ROLES = (Role.PPR, Role.READ_ONLY)
SERVICE_ROLE_CHOICES = [(role.value, role.label) for role in SERVICE_ROLES]
