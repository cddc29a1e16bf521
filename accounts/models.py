"""People, their divisions, their absences and their sign-ins."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Any, Self

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from accounts.choices import OVERSIGHT, WORKING_ROLES, Department, Language, Role

E164 = r"^\+[1-9][0-9]{6,14}$"


class Division(models.Model):
    """A line of business whose shipments its own people see."""

    code = models.CharField(_("code"), max_length=10, unique=True)
    name = models.CharField(_("name"), max_length=80, unique=True)

    class Meta:
        ordering = ("name",)
        verbose_name = _("division")
        verbose_name_plural = _("divisions")

    def __str__(self) -> str:
        return self.name


class UserQuerySet(models.QuerySet["User"]):
    def active(self) -> Self:
        return self.filter(is_active=True)

    def heads_of(self, department: str) -> Self:
        """Who leads a department (there may be several, or none)."""
        return self.active().filter(department=department, role=Role.MANAGER)


class UserManager(BaseUserManager.from_queryset(UserQuerySet)["User"]):  # type: ignore[misc]
    use_in_migrations = False

    @classmethod
    def normalize_email(cls, email: str | None) -> str:
        return (email or "").strip().lower()

    def get_by_natural_key(self, username: str | None) -> User:
        user: User = self.get(email=self.normalize_email(username))
        return user

    def with_password(self, email: str, password: str | None, **fields: Any) -> User:
        """Build (not save) a person."""
        user: User = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        return user


class User(AbstractBaseUser, PermissionsMixin):
    """A person who works with Clearance; never deleted, only deactivated.

    Role and department decide what they may do (`accounts.rules`), divisions what they see: without any, everything.
    """

    email = models.EmailField(_("e-mail address"), unique=True)
    full_name = models.CharField(_("full name"), max_length=120)
    phone = models.CharField(
        _("phone"),
        max_length=16,
        blank=True,
        validators=[RegexValidator(E164, _("Write the number with its country code, for example +96891234567."))],
    )
    department = models.CharField(_("department"), max_length=20, choices=Department.choices, blank=True)
    role = models.CharField(_("role"), max_length=10, choices=Role.choices, default=Role.READ_ONLY)
    divisions = models.ManyToManyField(
        Division,
        verbose_name=_("divisions"),
        blank=True,
        help_text=_("None: sees the shipments of every division."),
    )

    language = models.CharField(_("language"), max_length=2, choices=Language.choices, default=Language.ENGLISH)
    time_zone = models.CharField(_("time zone"), max_length=40, default="Asia/Muscat")

    is_active = models.BooleanField(_("active"), default=True)
    is_staff = models.BooleanField(_("works in the back office"), default=True)
    identity_issuer = models.CharField(_("identity provider"), max_length=255, blank=True)
    identity_subject = models.CharField(_("identity at the provider"), max_length=255, blank=True)

    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    objects = UserManager()

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS = ["full_name"]

    class Meta:
        ordering = ("full_name",)
        verbose_name = _("person")
        verbose_name_plural = _("people")
        constraints = [
            models.CheckConstraint(
                name="user_email_is_lower_case",
                condition=Q(email=Lower("email")),
                violation_error_message=_("E-mail addresses are kept in lower case."),
            ),
            models.CheckConstraint(
                name="user_is_never_a_superuser",
                condition=Q(is_superuser=False),
                violation_error_message=_("Nobody is a superuser here: it would defeat every refusal."),
            ),
            models.CheckConstraint(
                name="user_phone_is_e164",
                condition=Q(phone="") | Q(phone__regex=E164),
                violation_error_message=_("Write the number with its country code, for example +96891234567."),
            ),
            models.CheckConstraint(
                name="user_works_in_a_department",
                condition=~Q(role__in=WORKING_ROLES) | ~Q(department=""),
                violation_error_message=_("PPR, APR and heads belong to a department."),
            ),
            models.UniqueConstraint(
                "identity_issuer",
                "identity_subject",
                name="user_identity_is_unique",
                condition=~Q(identity_subject=""),
                violation_error_message=_("Somebody else signs in with this identity."),
            ),
        ]

    def __str__(self) -> str:
        return self.full_name

    def get_full_name(self) -> str:
        return self.full_name

    def get_short_name(self) -> str:
        return self.full_name.split(" ")[0]

    @cached_property
    def own_divisions(self) -> frozenset[int]:
        """The ids of the divisions that limit what the person sees; without any, nothing is limited."""
        return frozenset(self.divisions.values_list("pk", flat=True))

    @property
    def is_admin(self) -> bool:
        return self.role == Role.ADMIN

    @property
    def has_oversight(self) -> bool:
        """Internal audit and Management see everything and change nothing."""
        return self.department in OVERSIGHT

    def is_head_of(self, department: str) -> bool:
        return self.role == Role.MANAGER and self.department == department

    def is_in_business_unit(self) -> bool:
        """Registers, amends, imports, moves the ETA."""
        return self.department == Department.BUSINESS_UNIT and self.role in WORKING_ROLES


class AbsenceQuerySet(models.QuerySet["Absence"]):
    def covering(self, on: date) -> Self:
        return self.filter(starts_on__lte=on, ends_on__gte=on)


class Absence(models.Model):
    """Somebody is away from `starts_on` to `ends_on`, both included; the substitute acts in their place."""

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="absences", verbose_name=_("person"))
    starts_on = models.DateField(_("from"))
    ends_on = models.DateField(_("until"), help_text=_("The last day away."))
    substitute = models.ForeignKey(
        User, on_delete=models.PROTECT, related_name="substitutions", verbose_name=_("substitute")
    )

    objects = AbsenceQuerySet.as_manager()

    class Meta:
        ordering = ("-starts_on",)
        verbose_name = _("absence")
        verbose_name_plural = _("absences")
        constraints = [
            models.CheckConstraint(
                name="absence_ends_after_it_starts",
                condition=Q(ends_on__gte=F("starts_on")),
                violation_error_message=_("An absence ends on the day it starts, or later."),
            ),
            models.CheckConstraint(
                name="absence_has_another_substitute",
                condition=~Q(substitute=F("user")),
                violation_error_message=_("Nobody substitutes for themselves. Choose somebody else."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user}: {self.starts_on} – {self.ends_on}"


class SignInQuerySet(models.QuerySet["SignIn"]):
    def live(self, *, at: datetime) -> Self:
        return self.filter(revoked_at=None, expires_at__gt=at)


class SignIn(models.Model):
    """One sign-in at the API: the family of its refresh tokens, of which only the newest is good.

    Keeps a hash of that token's id, never the token.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="sign_ins", verbose_name=_("person"))
    refresh_hash = models.CharField(max_length=64)
    ip_address = models.GenericIPAddressField(_("IP address"), null=True)
    user_agent = models.CharField(_("program"), max_length=200, blank=True)
    created_at = models.DateTimeField(_("signed in at"))
    last_used_at = models.DateTimeField(_("last used at"))
    expires_at = models.DateTimeField(_("expires at"), db_index=True)
    revoked_at = models.DateTimeField(_("ended at"), null=True)

    objects = SignInQuerySet.as_manager()

    class Meta:
        ordering = ("-last_used_at",)
        verbose_name = _("sign-in")
        verbose_name_plural = _("sign-ins")

    def __str__(self) -> str:
        return f"{self.user}: {self.created_at:%Y-%m-%d %H:%M}"
