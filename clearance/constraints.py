"""The database's constraints speak: a violated one becomes a refusal with the constraint's own message."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce
from operator import or_
from typing import Any

from django.apps.registry import Apps
from django.core.exceptions import ValidationError
from django.db import DataError, IntegrityError, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import RunPython
from django.db.models import Q

from clearance import text
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
    """Check every field of an unsaved instance by itself: type, length, choice, and that a text is of one line.

    :raises InvalidFields: with every field that is wrong.
    """
    faults = {
        field.name: [told]
        for field in instance._meta.concrete_fields
        if _is_line(field) and (told := text.objection(getattr(instance, field.attname) or ""))
    }
    try:
        instance.clean_fields(exclude=faults)
    except ValidationError as error:
        raise InvalidFields(error.message_dict | faults) from error
    if faults:
        raise InvalidFields(faults)


def tidy_texts(label: str, *fields: str) -> RunPython:
    """Make a migration's step that writes texts from before their constraint in the form in which they are kept."""

    def forwards(apps: Apps, editor: BaseDatabaseSchemaEditor) -> None:
        records = apps.get_model(label)._default_manager.using(editor.connection.alias)
        is_untidy = reduce(or_, (Q(**{f"{name}__regex": text.NEVER_KEPT}) for name in fields))
        for record in records.filter(is_untidy).values("pk", *fields):  # hardly any
            pk = record.pop("pk")
            records.filter(pk=pk).update(**{name: text.tidied(old) for name, old in record.items()})

    return RunPython(forwards, RunPython.noop)


def _is_line(field: models.Field[Any, Any]) -> bool:
    return isinstance(field, models.CharField) and not field.choices
