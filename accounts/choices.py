"""Departments, roles and languages; what a link in a mail is for."""

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


class Language(TextChoices):
    """Languages of pages and messages."""

    ENGLISH = "en", "English"
    ARABIC = "ar", "العربية"


class Purpose(TextChoices):
    """What a link in a mail does."""

    RESET = "reset", _("Set a new password")
    VERIFY = "verify", _("Verify the e-mail address")


WORKING_DEPARTMENTS = (Department.BUSINESS_UNIT, Department.FINANCE, Department.CUSTOMS, Department.STORES)
OWN_STEPS_ONLY = (Department.FINANCE, Department.CUSTOMS, Department.STORES)
OVERSIGHT = (Department.INTERNAL_AUDIT, Department.MANAGEMENT)
WORKING_ROLES = (Role.PPR, Role.APR, Role.MANAGER)
