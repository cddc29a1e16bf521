"""People, their divisions and absences; how they sign in, and what guards it."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Any, Self

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Lower
from django.utils.crypto import salted_hmac
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from accounts.choices import OVERSIGHT, WORKING_ROLES, Department, Language, Purpose, Role
from outbox.models import Message

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

    def with_owed_factor(self) -> Self:
        """With `owes_second_factor`, so that it needs no statement of its own."""
        is_required = Exists(RequiredSecondFactor.objects.filter(role=OuterRef("role")))
        has_one = Exists(SecondFactor.objects.confirmed().filter(user=OuterRef("pk")))
        return self.annotate(owes_second_factor=is_required & ~has_one)


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
    email_verified_at = models.DateTimeField(_("e-mail address verified at"), null=True, blank=True)
    unlocked_at = models.DateTimeField(_("unlocked at"), null=True, blank=True)
    signed_out_at = models.DateTimeField(_("signed out everywhere at"), null=True, blank=True)

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

    @cached_property
    def owes_second_factor(self) -> bool:
        """Whether the person's role requires a second factor that they have not set up."""
        return bool(User.objects.with_owed_factor().filter(pk=self.pk, owes_second_factor=True).exists())

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """What a session of the back office must match: it ends with the password, and when all are ended."""
        told = f"{self.password} {self.signed_out_at.isoformat() if self.signed_out_at else ''}"
        return salted_hmac("accounts.User.session", told, secret=secret, algorithm="sha256").hexdigest()

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


class KeptAnswer(models.Model):
    """What a request with an Idempotency-Key was answered, for when it comes again (decision 0016)."""

    # The constraint's index begins with the person.
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="+", db_index=False)
    key = models.CharField(max_length=255)
    endpoint = models.CharField(max_length=200)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    headers = models.JSONField()
    body = models.BinaryField()
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name = _("kept answer")
        verbose_name_plural = _("kept answers")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["user", "key", "endpoint"],
                name="request_is_answered_once",
                violation_error_message=_("This request was answered already."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.endpoint}: {self.status}"


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


class FailedSignIns(models.Model):
    """How often signing in failed, and until when it is locked, for one account, one source, or both together.

    `account` is a hash of the address that was given, known to us or not; empty: whichever account. `source` is where
    the guesses came from; empty: wherever.
    """

    account = models.CharField(max_length=64, blank=True)
    source = models.CharField(max_length=45, blank=True)
    failures = models.PositiveSmallIntegerField(default=0)
    locks = models.PositiveSmallIntegerField(default=0)
    last_failed_at = models.DateTimeField(db_index=True)
    locked_until = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["account", "source"],
                name="failed_sign_ins_are_counted_once",
                violation_error_message=_("Failures of an account from a source are counted in one place."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.failures} / {self.locks}"


class OldPassword(models.Model):
    """A password that somebody has or had, hashed: the last few are not taken again."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="old_passwords", verbose_name=_("person"))
    password = models.CharField(_("password"), max_length=128)
    set_at = models.DateTimeField(_("set at"))

    class Meta:
        ordering = ("-set_at", "-pk")
        default_permissions = ()
        verbose_name = _("earlier password")
        verbose_name_plural = _("earlier passwords")

    def __str__(self) -> str:
        return f"{self.user}: {self.set_at:%Y-%m-%d %H:%M}"


class TicketQuerySet(models.QuerySet["Ticket"]):
    def good(self, *, at: datetime) -> Self:
        return self.filter(used_at=None, expires_at__gt=at)


class Ticket(models.Model):
    """What a link in a mail is good for, once and for a short time.

    The link carries the signed id (`accounts.tokens`), which is made when the mail is sent and kept nowhere.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tickets", verbose_name=_("person"))
    purpose = models.CharField(_("purpose"), max_length=12, choices=Purpose.choices)
    email = models.EmailField(_("e-mail address"))
    message = models.OneToOneField(Message, on_delete=models.CASCADE, related_name="ticket", verbose_name=_("message"))
    created_at = models.DateTimeField(_("created at"))
    expires_at = models.DateTimeField(_("expires at"), db_index=True)
    used_at = models.DateTimeField(_("used at"), null=True)

    objects = TicketQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        verbose_name = _("link in a mail")
        verbose_name_plural = _("links in mails")

    def __str__(self) -> str:
        return f"{self.get_purpose_display()}: {self.user}"


class SecondFactorQuerySet(models.QuerySet["SecondFactor"]):
    def confirmed(self) -> Self:
        return self.exclude(confirmed_at=None)


class SecondFactor(models.Model):
    """The secret that a person's authenticator app shares with us, encrypted; counts once it is confirmed by a code.

    `last_step` is the half minute of the last code that was taken: neither it nor an earlier one is taken again.
    """

    user = models.OneToOneField(
        User, on_delete=models.CASCADE, related_name="second_factor", primary_key=True, verbose_name=_("person")
    )
    secret = models.CharField(_("secret"), max_length=255)
    last_step = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(_("created at"))
    confirmed_at = models.DateTimeField(_("confirmed at"), null=True)

    objects = SecondFactorQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        verbose_name = _("second factor")
        verbose_name_plural = _("second factors")

    def __str__(self) -> str:
        return str(self.user)


class BackupCode(models.Model):
    """A code that stands in once for the authenticator app; kept as a hash."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="backup_codes", verbose_name=_("person"))
    code_hash = models.CharField(max_length=64)
    used_at = models.DateTimeField(_("used at"), null=True)

    class Meta:
        default_permissions = ()
        verbose_name = _("backup code")
        verbose_name_plural = _("backup codes")

    def __str__(self) -> str:
        return str(self.user)


class RequiredSecondFactor(models.Model):
    """A role whose people must have a second factor to work in the back office."""

    role = models.CharField(_("role"), max_length=10, choices=Role.choices, unique=True)

    class Meta:
        default_permissions = ()
        verbose_name = _("required second factor")
        verbose_name_plural = _("required second factors")

    def __str__(self) -> str:
        return self.get_role_display()
