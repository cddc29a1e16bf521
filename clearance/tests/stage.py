"""Where the table of permissions is tried: somebody of every kind, and one record of everything, made once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal

from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group
from django.db import transaction
from django.utils import timezone

from accounts import rules, tokens
from accounts.choices import WORKING_DEPARTMENTS, Department
from accounts.models import Absence, IdentityRule, Override, RoleGroup, SignIn, User
from accounts.tests import machines, people
from alerts.models import Alert, Holiday, SweepRun
from alerts.tests import late
from audit import services as audit
from clearance.clock import day_of
from clearance.tests import recipes
from clearance.tests.cast import Cast
from clearance.tests.matrix import KINDS, Kind
from outbox.choices import Delivery
from outbox.models import Message
from outbox.tests import mails
from shipments import services as shipments
from workflow.models import Responsibility

# A step of each department that is completed by hand, and another one that is done already.
OPEN_STEPS = dict(zip(WORKING_DEPARTMENTS, ("1.6", "4.0", "9.0", "18.0"), strict=True))
DONE_STEPS = dict(zip(WORKING_DEPARTMENTS, ("2.5", "3.5", "8.0", "16.0"), strict=True))


# Beyond what anybody guesses: what is tried with any number at all doesn't hit whoever tries.
FIRST_ID = 7_310_000_000


class Stage:
    """People by kind, each with an access token, and the records that doors are tried with."""

    def __init__(self, cast: Cast) -> None:
        self.cast = cast
        self.at: datetime = timezone.now()
        self.today = day_of(self.at)
        self.soon, self.later = self.today + timedelta(days=9), self.today + timedelta(days=20)
        self.somebody = cast.cc_alternate
        self.people = dict(self._people())
        self._records()

    def _people(self) -> Iterator[tuple[Kind, User]]:
        for number, kind in enumerate(KINDS):
            person = User.objects.create(
                pk=FIRST_ID + number,
                email=f"kind-{number}@example.com",
                full_name=f"Kind {number}",
                department=kind.department,
                role=kind.role,
                is_active=kind.is_active,
                password=make_password(None),
            )
            person.groups.set(Group.objects.filter(name=rules.system_role_name(kind.department, kind.role)))
            if kind.is_elsewhere:
                person.divisions.set([self.cast.vehicles])
            yield kind, person

    def _records(self) -> None:
        given = {"by": self.cast.bu_clerk, "at": self.at, "division": self.cast.tyres}
        self.shipment = recipes.registered(**given, eta=self.soon)
        recipes.record(self.shipment, dict.fromkeys(DONE_STEPS.values(), self.today), at=self.at)
        self.steps = {one: recipes.step(self.shipment, number) for one, number in OPEN_STEPS.items()}
        self.done_steps = {one: recipes.step(self.shipment, number) for one, number in DONE_STEPS.items()}
        self.cancelled = recipes.registered(**given, eta=self.soon)
        shipments.cancel(shipment_id=self.cancelled.pk, reason="Withdrawn", by=self.cast.bu_head, at=self.at)
        late.shipment(by=self.cast.bu_clerk, days=5, division=self.cast.tyres)
        late.sweep()
        self.alert = Alert.objects.filter(recipient_user=self.cast.cc_clerk).latest("pk")
        self.run = SweepRun.objects.latest("pk")
        self.absence = Absence.objects.create(
            user=self.cast.cc_clerk,
            starts_on=self.later,
            ends_on=self.later,
            substitute=self.cast.cc_alternate,
        )
        self.duty = Responsibility.objects.create(step_number=Decimal(recipes.COLLECTED), ppr=self.cast.cc_clerk)
        self.message = mails.waiting(
            self.cast.cc_clerk, at=self.at, delivery=Delivery.DEAD, refusals=3, last_refusal="550"
        )
        self.readable = Message.objects.filter(delivery=Delivery.WAITING).first()
        self.holiday = Holiday.objects.create(on="2031-07-04", name="A day of joy")
        self.sign_in = self._sign_in(self.somebody)
        self.role = RoleGroup.objects.create(name="Reporting")
        people.granted(self.somebody, "metrics.view_metric")
        self.override = Override.objects.get(user=self.somebody)
        self.identity_rule = IdentityRule.objects.create(pattern="@example.com", department=Department.CUSTOMS)
        self.machine = machines.account(self.cast)
        self.key = machines.key(self.machine, self.cast, "shipments:view").record
        audit.seal(at=self.at)

    def pair(self, department: str) -> tuple[User, User]:
        """Two people of a department."""
        cast = self.cast
        return {
            Department.BUSINESS_UNIT: (cast.bu_clerk, cast.bu_alternate),
            Department.FINANCE: (cast.finance_clerk, cast.finance_alternate),
            Department.CUSTOMS: (cast.cc_clerk, cast.cc_alternate),
            Department.STORES: (cast.storekeeper, cast.stores_head),
        }[Department(department)]

    def _sign_in(self, person: User) -> SignIn:
        expires_at = self.at + tokens.lifetime(tokens.Kind.REFRESH)
        return SignIn.objects.create(user=person, created_at=self.at, last_used_at=self.at, expires_at=expires_at)

    def token_of(self, kind: Kind) -> str:
        """An access token, as signing in would have given it; empty for who isn't signed in."""
        if not kind.is_signed_in:
            return ""
        person = self.people[kind]
        opened = person.sign_ins.first() or self._sign_in(person)
        claims = tokens.Claims(person.pk, opened.pk, "of-a-test")
        return tokens.write(claims, kind=tokens.Kind.ACCESS, email=person.email, at=timezone.now())


@contextmanager
def undone() -> Iterator[None]:
    """Have everything that the block writes forgotten."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
