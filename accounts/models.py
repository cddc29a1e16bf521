"""People, their divisions and absences; how they sign in, and what guards it."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Collection
from datetime import date, datetime, timedelta
from typing import Any, ClassVar, Self

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.contrib.auth.models import Group, Permission, PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.contrib.sessions.base_session import AbstractBaseSession, BaseSessionManager
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Case, Exists, F, OuterRef, Q, Value, When
from django.db.models.expressions import RawSQL
from django.db.models.functions import Lower
from django.utils.crypto import salted_hmac
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from accounts import rights
from accounts.choices import OVERSIGHT, SERVICE_ROLES, WORKING_ROLES, Department, KeyState, Purpose, Role
from clearance import text
from clearance.languages import Language
from outbox.models import Message

E164 = r"^\+[1-9][0-9]{6,14}$"
LONGEST_KEY = timedelta(days=365)
EXPIRES_SOON = timedelta(days=14)
ENROLMENT_LIFETIME = timedelta(minutes=15)  # from the password to the first code
NOWHERE = "service-account.invalid"  # a domain that never is (RFC 2606): no mail gets there, nobody proves it

# What somebody may do (`app.codename`): what their roles bring and what is granted to them, without what is denied.
# The only place that says so; `{person}` is the table of people, or its alias.
RIGHTS = """
    ARRAY(
        SELECT type.app_label || '.' || permission.codename
        FROM (
            SELECT given.permission_id
            FROM accounts_user_groups held
            JOIN auth_group_permissions given USING (group_id)
            WHERE held.user_id = {person}.id
            UNION
            SELECT permission_id FROM accounts_override WHERE user_id = {person}.id AND is_granted
            EXCEPT
            SELECT permission_id FROM accounts_override WHERE user_id = {person}.id AND NOT is_granted
        ) AS had
        JOIN auth_permission permission ON permission.id = had.permission_id
        JOIN django_content_type type ON type.id = permission.content_type_id
    )
"""


class Division(models.Model):
    """A line of business whose shipments its own people see."""

    code = models.CharField(_("code"), max_length=10, unique=True)
    name = models.CharField(_("name"), max_length=80, unique=True)

    class Meta:
        ordering = ("name",)
        verbose_name = _("division")
        verbose_name_plural = _("divisions")
        constraints = [text.one_line("division_texts_are_of_one_line", "code", "name")]

    def __str__(self) -> str:
        return self.name


class UserQuerySet(models.QuerySet["User"]):
    def active(self) -> Self:
        return self.filter(is_active=True)

    def people(self) -> Self:
        """Everybody who is somebody: without service accounts."""
        return self.filter(is_service=False)

    def services(self) -> Self:
        """The accounts that machines act with."""
        return self.filter(is_service=True)

    def administrators(self) -> Self:
        """Those who can still administer: active, and not denied the right to change people."""
        denied = Override.objects.filter(user=OuterRef("pk"), is_granted=False, permission__codename="change_user")
        return self.active().filter(~Exists(denied), role=Role.ADMIN)

    def with_rights(self) -> Self:
        """With `rights`, so that they need no statement of their own."""
        told = RIGHTS.format(person=self.model._meta.db_table)  # from our own constants
        return self.annotate(rights=RawSQL(told, (), output_field=ArrayField(models.TextField())))  # noqa: S611

    def waiting(self) -> Self:
        """Active people without any right: they wait for an administrator."""
        return self.active().with_rights().filter(rights=[])

    def not_waiting(self) -> Self:
        return self.with_rights().exclude(is_active=True, rights=[])

    def matching(self, words: str) -> Self:
        """Every word is part of the name or of the e-mail address."""
        found = self
        for word in text.tidied(words).split():
            found = found.filter(Q(full_name__icontains=word) | Q(email__icontains=word))
        return found

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
    """A person who works with Clearance, or a machine that does (`is_service`); never deleted, only deactivated.

    Role and department decide what they may do (`accounts.rules`), with further roles and overrides; divisions decide
    what they see: without any, everything. A service account has API keys instead of a password, and an address that
    no mail gets to.
    """

    user_permissions = None  # type: ignore[assignment]  # overrides take their place

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
    is_service = models.BooleanField(_("service account"), default=False, editable=False)
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
            text.one_line(
                "user_texts_are_of_one_line", "full_name", "phone", "time_zone", "identity_issuer", "identity_subject"
            ),
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
            models.CheckConstraint(
                name="user_service_account_never_signs_in",
                condition=Q(is_service=False)
                | Q(
                    is_staff=False,
                    identity_subject="",
                    password__startswith=UNUSABLE_PASSWORD_PREFIX,
                    email__endswith=f"@{NOWHERE}",
                ),
                violation_error_message=_("A service account has API keys: no password, no address, no back office."),
            ),
            models.CheckConstraint(
                name="user_service_account_leads_nobody",
                condition=Q(is_service=False) | Q(role__in=SERVICE_ROLES),
                violation_error_message=_("A service account is PPR or Read only."),
            ),
            models.UniqueConstraint(
                Lower("full_name"),
                name="user_service_account_has_a_name_of_its_own",
                condition=Q(is_service=True),
                violation_error_message=_("There is a service account of this name already."),
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
    def rights(self) -> Collection[str]:
        """What roles and overrides bring (`app.codename`); it counts only while the person is active."""
        found = User.objects.with_rights().filter(pk=self.pk).values_list("rights", flat=True).first()
        return frozenset(found or ())

    def get_all_permissions(self, obj: object = None) -> set[str]:
        return set(self.rights) if self.is_active and obj is None else set()

    def has_perm(self, perm: str, obj: object = None) -> bool:
        """Whether they may: the same answer at every door, whatever backend they came in by."""
        return self.is_active and obj is None and perm in self.rights

    def has_module_perms(self, app_label: str) -> bool:
        return any(one.startswith(f"{app_label}.") for one in self.get_all_permissions())

    @property
    def has_come(self) -> bool:
        """Whether they ever came in, or have what it takes: a password, or an identity at the provider."""
        return bool(self.last_login or self.identity_subject or self.has_usable_password())

    @cached_property
    def owes_second_factor(self) -> bool:
        """Whether the person's role requires a second factor that they have not set up."""
        return bool(User.objects.with_owed_factor().filter(pk=self.pk, owes_second_factor=True).exists())

    def _get_session_auth_hash(self, secret: str | None = None) -> str:
        """What a session of the back office must match: it ends with the password, and when all are ended."""
        told = f"{self.password} {self.signed_out_at.isoformat() if self.signed_out_at else ''}"
        return salted_hmac("accounts.User.session", told, secret=secret, algorithm="sha256").hexdigest()

    @property
    def waits_for_rights(self) -> bool:
        """Whether somebody whom the provider brought still waits for an administrator: there is nothing they may do."""
        return not self.rights

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


class RoleGroup(Group):
    """A role by its name: one of the system's (`accounts.rules`), which nobody edits, or one that people made."""

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = _("role")
        verbose_name_plural = _("roles")


class Override(models.Model):
    """One right that a person is granted or denied by name; it wins over whatever their roles say."""

    user = models.ForeignKey(User, on_delete=models.PROTECT, related_name="overrides", verbose_name=_("person"))
    permission = models.ForeignKey(Permission, on_delete=models.CASCADE, related_name="+", verbose_name=_("right"))
    is_granted = models.BooleanField(_("granted"))
    reason = models.CharField(_("reason"), max_length=255)
    created_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, related_name="+", verbose_name=_("created by")
    )
    created_at = models.DateTimeField(_("created at"))

    class Meta:
        ordering = ("user", "permission")
        default_permissions = ()
        verbose_name = _("override")
        verbose_name_plural = _("overrides")
        constraints = [
            text.one_line("override_reason_is_of_one_line", "reason"),
            models.UniqueConstraint(
                fields=["user", "permission"],
                name="right_is_overridden_once",
                violation_error_message=_("This right is granted or denied already."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user}: {rights.in_words(self.permission.codename)}"


class ServiceAccount(User):
    """A service account as the back office lists them."""

    class Meta:
        proxy = True
        default_permissions = ()
        permissions = (("manage_serviceaccount", "Can manage service accounts and their API keys"),)
        verbose_name = _("service account")
        verbose_name_plural = _("service accounts")


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    def live(self, *, at: datetime) -> Self:
        return self.filter(revoked_at=None, expires_at__gt=at)

    def with_state(self, *, at: datetime) -> Self:
        """With `state`, a `KeyState`."""
        return self.annotate(
            state=Case(
                When(revoked_at__isnull=False, then=Value(KeyState.REVOKED)),
                When(expires_at__lte=at, then=Value(KeyState.EXPIRED)),
                When(rotated_at__isnull=False, then=Value(KeyState.REPLACED)),
                When(expires_at__lte=at + EXPIRES_SOON, then=Value(KeyState.EXPIRES_SOON)),
                default=Value(KeyState.GOOD),
            )
        )


class ApiKey(models.Model):
    """What a machine proves with that it is a service account: `clr_<prefix>_<secret>`, of which the secret is hashed.

    `scopes` are permissions as the API names them; they narrow what the account's role allows. `allowed_networks` are
    in CIDR notation; without any, the key is good from anywhere. A key that was rotated is good until its successor
    has taken over. How it was used last is told to the minute, outside the trail.
    """

    account = models.ForeignKey(
        User, on_delete=models.PROTECT, related_name="api_keys", verbose_name=_("service account")
    )
    name = models.CharField(_("name"), max_length=80)
    prefix = models.CharField(_("prefix"), max_length=8, unique=True)
    key_hash = models.CharField(max_length=64)
    scopes = ArrayField(models.CharField(max_length=100), verbose_name=_("scopes"))
    allowed_networks = ArrayField(
        models.CharField(max_length=43), verbose_name=_("allowed networks"), default=list, blank=True
    )
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", verbose_name=_("issued by"))
    created_at = models.DateTimeField(_("issued at"))
    expires_at = models.DateTimeField(_("expires at"))
    rotated_at = models.DateTimeField(_("replaced at"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last used at"), null=True, blank=True)
    last_used_from = models.GenericIPAddressField(_("last used from"), null=True, blank=True)
    last_refused_at = models.DateTimeField(null=True, blank=True)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        ordering = ("-created_at",)
        default_permissions = ()
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        constraints = [
            text.one_line("api_key_name_is_of_one_line", "name"),
            models.CheckConstraint(
                name="api_key_lasts_a_year_at_most",
                condition=Q(expires_at__gt=F("created_at"), expires_at__lte=F("created_at") + LONGEST_KEY),
                violation_error_message=_("An API key expires after its issue, within a year."),
            ),
            models.CheckConstraint(
                name="api_key_has_a_scope",
                condition=Q(scopes__len__gt=0),
                violation_error_message=_("An API key has at least one scope."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account}: {self.name} ({self.prefix})"


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
        constraints = [text.one_line("sign_in_texts_are_of_one_line", "user_agent")]

    def __str__(self) -> str:
        return f"{self.user}: {self.created_at:%Y-%m-%d %H:%M}"


class BrowserSessionManager(BaseSessionManager["BrowserSession"]):
    def of(self, user: User, *, at: datetime) -> models.QuerySet[BrowserSession]:
        """A person's sessions that are still good: none from before they were signed out everywhere."""
        live: models.QuerySet[BrowserSession] = self.filter(user=user, expire_date__gt=at)
        return (live.filter(opened_at__gte=user.signed_out_at) if user.signed_out_at else live).order_by("-seen_at")


class BrowserSession(AbstractBaseSession):
    """A session of the back office, with whose it is, since when and from where: Django's own table doesn't say.

    The key is a hash of the one in the browser's cookie (`kept_as`); `handle` names a session to people.
    """

    user = models.ForeignKey(User, on_delete=models.CASCADE, null=True, related_name="+", verbose_name=_("person"))
    ip_address = models.GenericIPAddressField(_("IP address"), null=True)
    user_agent = models.CharField(_("program"), max_length=200, blank=True)
    opened_at = models.DateTimeField(_("signed in at"), null=True)
    seen_at = models.DateTimeField(_("last used at"), null=True)

    objects: ClassVar[BrowserSessionManager] = BrowserSessionManager()

    class Meta:
        default_permissions = ()
        verbose_name = _("browser session")
        verbose_name_plural = _("browser sessions")
        constraints = [text.one_line("browser_session_texts_are_of_one_line", "user_agent")]

    def __str__(self) -> str:
        return f"{self.user}: {self.opened_at:%Y-%m-%d %H:%M}" if self.opened_at else self.handle

    @staticmethod
    def kept_as(session_key: str | None) -> str:
        """Return under which key a session is kept that has this one in the browser: what fits of its hash."""
        return hashlib.sha256((session_key or "").encode()).hexdigest()[:40]

    @property
    def handle(self) -> str:
        return hashlib.sha256(self.session_key.encode()).hexdigest()[:16]


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

    def pending(self, *, at: datetime) -> Self:
        """Set up a few minutes ago at most, and without its first code yet."""
        return self.filter(confirmed_at=None, created_at__gt=at - ENROLMENT_LIFETIME)


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
    """A role whose people must have a second factor to work in the back office or at the API."""

    role = models.CharField(_("role"), max_length=10, choices=Role.choices, unique=True)

    class Meta:
        default_permissions = ()
        verbose_name = _("required second factor")
        verbose_name_plural = _("required second factors")

    def __str__(self) -> str:
        return self.get_role_display()


class IdentityRule(models.Model):
    """What somebody becomes whom the identity provider brings and nobody has entered: by address, or by its domain."""

    pattern = models.CharField(
        _("e-mail address or domain"),
        max_length=254,
        help_text=_("amal@example.com, or @example.com for everybody there. The address wins over the domain."),
    )
    department = models.CharField(_("department"), max_length=20, choices=Department.choices)
    role = models.CharField(
        _("role"), max_length=10, choices=[choice for choice in Role.choices if choice[0] != Role.ADMIN]
    )

    class Meta:
        ordering = ("pattern",)
        verbose_name = _("identity rule")
        verbose_name_plural = _("identity rules")
        constraints = [
            text.one_line("identity_rule_texts_are_of_one_line", "pattern"),
            models.UniqueConstraint(
                fields=["pattern"],
                name="identity_rule_is_the_only_one",
                violation_error_message=_("There is a rule for this address or domain already. Change that one."),
            ),
            models.CheckConstraint(
                name="identity_rule_is_an_address_or_a_domain",
                condition=Q(pattern=Lower("pattern")) & Q(pattern__regex=r"^[^@\s]*@[^@\s.]+(\.[^@\s.]+)+$"),
                violation_error_message=_("Write an e-mail address, or a domain that begins with @; in small letters."),
            ),
            models.CheckConstraint(
                name="identity_rule_makes_no_administrator",
                condition=~Q(role=Role.ADMIN) & ~Q(department=""),
                violation_error_message=_("A rule names a department, and never makes an administrator."),
            ),
        ]

    def __str__(self) -> str:
        return self.pattern
