"""People whom an OpenID provider has signed in (I8): who they are here, and what makes them so."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models.functions import Coalesce
from django.utils.translation import gettext

from accounts import rules
from accounts.choices import Role
from accounts.errors import BoundToAnotherIdentity, EmailNotVerified, KeptOut, NoIdentity, UserExists
from accounts.models import Division, IdentityRule, SecondFactor, User
from accounts.provider import Identity
from accounts.services import people, sessions
from clearance import context
from clearance.constraints import explained, require_valid_fields
from clearance.errors import NotFound


def admit(*, identity: Identity, at: datetime) -> tuple[User, bool]:
    """Say who somebody is here whom the provider has signed in, and whether a code is to be proved next.

    1. Whoever has the identity. What is known of them follows the configured claims; their address stays ours.
    2. Whoever has the verified e-mail address and no identity yet: they are bound to it, this once.
    3. Nobody: a new person, with what claims or identity rules say; otherwise without any rights.

    In transactions of their own: a later step's lock isn't waited for with an earlier one's in hand.

    :raises EmailNotVerified: nobody has the identity, and the provider did not verify the address.
    :raises BoundToAnotherIdentity: whoever has the address signs in with another identity.
    :raises KeptOut: the person is deactivated, or doesn't work in the back office.
    """
    user = _known(identity) or _bound(identity, at=at) or _new(identity, at=at)
    _require_let_in(user)
    sessions.note_actor(user)
    user = _after_claims(user, identity, at=at)
    has_factor = SecondFactor.objects.confirmed().filter(user=user).exists()
    return user, has_factor and not identity.has_second_factor


@transaction.atomic
def release_identity(*, user_id: int, by: User, at: datetime) -> None:
    """Part a person from the identity at the provider, so that the next one with their address is bound.

    :raises Forbidden: `by` lacks the permission, which administrators have by their role.
    :raises AdministratorsOnly: :raises NotFound: there is no such person. :raises NoIdentity: there is none.
    """
    rules.require_permission(by, "accounts.change_user")
    person = User.objects.people().filter(pk=user_id).first()
    if person is None:
        raise NotFound
    rules.require_may_touch(by, person.role)
    bound = User.objects.filter(pk=user_id).exclude(identity_subject="")
    if not bound.update(identity_issuer="", identity_subject="", updated_at=at):
        raise NoIdentity
    sessions.sign_out_everywhere(user=User.objects.get(pk=user_id), at=at)


@transaction.atomic
def save_identity_rule(*, rule: IdentityRule, by: User | None) -> IdentityRule:
    """Add or change an identity rule; it counts for people who are new from now on.

    :raises Forbidden: :raises BeyondYourRights: `by` may not, or would let others do more than they do.
    :raises InvalidFields: :raises ConstraintViolated: a value can't be right, or the pattern has its rule.
    """
    rules.require_permission(by, f"accounts.{'change' if rule.pk else 'add'}_identityrule")
    rules.require_holds(by, rules.permissions_of(rule.department, rule.role))
    rules.require_within_sight(by, ())  # newcomers see every division
    require_valid_fields(rule)
    with explained(IdentityRule):
        rule.save()
    return rule


@transaction.atomic
def remove_identity_rule(*, rule: IdentityRule, by: User | None) -> None:
    """Remove an identity rule; whoever came by it stays what they are.

    :raises Forbidden: `by` may not.
    """
    rules.require_permission(by, "accounts.delete_identityrule")
    rule.delete()


def _known(identity: Identity) -> User | None:
    known = User.objects.filter(identity_issuer=identity.issuer, identity_subject=identity.subject)
    user: User | None = known.first()
    return user


def _require_let_in(user: User) -> None:
    """:raises KeptOut: deactivated, or not for the back office."""
    if not (user.is_active and user.is_staff):
        raise KeptOut(user_id=user.pk)


def _bound(identity: Identity, *, at: datetime) -> User | None:
    """Bind whoever has the address and no identity; None: nobody has the address."""
    address = identity.email or identity.unverified_email
    user = User.objects.filter(email=address).first() if address else None
    if user is None:
        return None
    if not identity.email:
        raise EmailNotVerified(user_id=user.pk)
    _require_let_in(user)
    if not user.identity_subject:
        _bind(user, identity, at=at)
    bound = _known(identity)  # also if the same person did so in another window
    if bound is None:
        raise BoundToAnotherIdentity(user_id=user.pk)
    return bound


def _bind(user: User, identity: Identity, *, at: datetime) -> None:
    """Claim a person without identity for this one; nothing happens if another was faster."""
    free = User.objects.active().filter(pk=user.pk, email=identity.email, identity_subject="")
    with context.remarking():  # a refusal is not on record as theirs
        sessions.note_actor(user)
        with suppress(IntegrityError), transaction.atomic():  # the identity may have become somebody else's
            free.update(
                identity_issuer=identity.issuer,
                identity_subject=identity.subject,
                email_verified_at=Coalesce("email_verified_at", at),
                updated_at=at,
            )


def _new(identity: Identity, *, at: datetime) -> User:
    """Take on somebody whom nobody has entered; they can't sign in with a password."""
    if not identity.email:
        raise EmailNotVerified
    try:
        with transaction.atomic():
            return people.take_on(
                by=None,
                email=identity.email,
                full_name=identity.full_name,
                identity_issuer=identity.issuer,
                identity_subject=identity.subject,
                email_verified_at=at,
                **(_claimed(identity) or _ruled(identity.email)),
            )
    except (UserExists, IntegrityError) as error:  # the same person at the same moment, in another window
        user = _known(identity)
        if user is None:
            raise BoundToAnotherIdentity from error
        return user


def _claimed(identity: Identity) -> dict[str, Any]:
    """Department, role and divisions as the claims have them; nothing if a division is unknown to us."""
    if not identity.department:
        return {}
    claimed: dict[str, Any] = {"department": identity.department, "role": identity.role}
    if identity.divisions is not None:
        claimed["divisions"] = list(Division.objects.filter(code__in=identity.divisions))
        if len(claimed["divisions"]) != len(identity.divisions):
            return {}
    return claimed


def _ruled(email: str) -> dict[str, Any]:
    """Department and role by the address, else by its domain, else none: such a person waits for an administrator."""
    patterns = (email, f"@{email.rpartition('@')[2]}")
    rules = {rule.pattern: rule for rule in IdentityRule.objects.filter(pattern__in=patterns)}
    rule = rules.get(patterns[0]) or rules.get(patterns[1])
    return {"department": rule.department if rule else "", "role": rule.role if rule else Role.READ_ONLY}


def _after_claims(user: User, identity: Identity, *, at: datetime) -> User:
    """Make a person what the claims say; who says nothing changes nothing, and administrators stay as they are."""
    if user.is_admin or not identity.department:
        return user
    claimed = _claimed(identity)
    changes = {name: value for name, value in claimed.items() if name != "divisions" and getattr(user, name) != value}
    if "divisions" in claimed and {division.pk for division in claimed["divisions"]} != user.own_divisions:
        changes["divisions"] = claimed["divisions"]
    if not changes:
        return user
    with context.remarking(reason=gettext("As the company sign-in says.")):
        return people.amend_person(user_id=user.pk, changes=changes, by=None, at=at)
