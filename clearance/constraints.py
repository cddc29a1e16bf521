"""The database's constraints speak: a violated one becomes a refusal with the constraint's own message."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.core.exceptions import ValidationError
from django.db import DataError, IntegrityError, models

from clearance.errors import Invalid, InvalidFields


class ConstraintViolated(Invalid):
    """What a model's constraint refuses."""

    message = "{reason}"


@contextmanager
def explained(model: type[models.Model]) -> Iterator[None]:
    """Turn what the database refuses about `model` into a refusal that a clerk understands.

    :raises ConstraintViolated: for the model's named constraints; any other violation passes through.
    """
    try:
        yield
    except IntegrityError as error:
        name = getattr(getattr(error.__cause__, "diag", None), "constraint_name", None)
        for constraint in model._meta.constraints:
            if constraint.name == name:
                raise ConstraintViolated(reason=constraint.get_violation_error_message()) from error
        raise
    except DataError as error:
        raise ConstraintViolated(reason=str(error.__cause__).splitlines()[0]) from error


def require_valid_fields(instance: models.Model) -> None:
    """Check every field of an unsaved instance by itself: type, length, choice.

    :raises InvalidFields: with every field that is wrong.
    """
    try:
        instance.clean_fields()
    except ValidationError as error:
        raise InvalidFields(error.message_dict) from error
