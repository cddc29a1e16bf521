"""What a refusal is: a stable code, a sentence a clerk can act on, and the field it is about. Knows nothing of HTTP."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, ClassVar

from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

    Sentence = str | StrPromise


class DomainError(Exception):
    """A refusal by the desk.

    Subclasses carry `code` (stable, for programs) and `message` (for people; a `str.format` template over the
    context, or a lazy translation of one). `field` names the input that the refusal is about, if there is one.
    `is_denial` marks what authority or policy forbids: the door that refuses leaves an entry in the trail (C21).
    """

    code: ClassVar[str] = "ERROR"
    message: ClassVar[Sentence] = _("The request was refused.")
    field: ClassVar[str] = ""
    is_denial: ClassVar[bool] = False

    def __init__(self, **context: object) -> None:
        self.context = context
        super().__init__(str(self))

    def __str__(self) -> str:
        return str(self.message).format(**self.context)

    def details(self) -> list[dict[str, str]]:
        """One entry per field that is wrong: `{"field": …, "message": …}`."""
        return [{"field": self.field, "message": str(self)}] if self.field else []


class Invalid(DomainError):
    """The input is wrong; the same input will always be refused."""

    code = "VALIDATION_ERROR"
    message: ClassVar[Sentence] = _("Some of the values are not valid.")


class InvalidFields(Invalid):
    """Several fields are wrong at once.

    `faults` maps each field to its sentences.
    """

    def __init__(self, faults: Mapping[str, list[str]]) -> None:
        self.faults = faults
        super().__init__()

    def details(self) -> list[dict[str, str]]:
        return [{"field": field, "message": message} for field, messages in self.faults.items() for message in messages]


class Unauthenticated(DomainError):
    """Nobody is signed in, or with the wrong credentials; `user_id` says whose they were, where that is known."""

    code = "AUTHENTICATION_FAILED"
    message: ClassVar[Sentence] = _("Sign in first.")


class Forbidden(DomainError):
    """This person may not do it; another may."""

    code = "PERMISSION_DENIED"
    message: ClassVar[Sentence] = _("You may not do this.")
    is_denial = True


class NotFound(DomainError):
    """It doesn't exist, or this person may not know that it does."""

    code = "NOT_FOUND"
    message: ClassVar[Sentence] = _("There is no such record, or it belongs to another division.")


class Conflict(DomainError):
    """The record's state doesn't allow it."""

    code = "CONFLICT"
    message: ClassVar[Sentence] = _("The record's state does not allow this.")


class Unavailable(DomainError):
    """Something that we need for it is away for now; `retry_after` says for how many seconds at least."""

    code = "UNAVAILABLE"
    message: ClassVar[Sentence] = _("This can't be done now. Try again in a moment.")


class VersionConflict(Conflict):
    """Somebody changed the record since it was read."""

    code = "VERSION_CONFLICT"
    message = _(
        "Somebody else changed this record in the meantime (it is at version {current}). Reload it and try again."
    )


Versions = int | Collection[int] | None
"""The version of a record that a change is based on, or each that will do; None: any."""


def require_current(version: int, based_on: Versions) -> None:
    """:raises VersionConflict: the change is based on another version than the record's."""
    if based_on is not None and version not in ((based_on,) if isinstance(based_on, int) else based_on):
        raise VersionConflict(current=version)


class ReasonMissing(Invalid):
    """The change needs a reason."""

    code = "REASON_MISSING"
    field = "reason"
    message = _("Say why, so that others understand it later.")


class IdempotencyKeyReused(Invalid):
    code = "IDEMPOTENCY_KEY_REUSED"
    field = "Idempotency-Key"
    message = _("This Idempotency-Key came with another body before. Send a new request with a new key.")
