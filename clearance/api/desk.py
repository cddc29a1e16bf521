"""What every viewset does before and after it calls its desk: strict filters and input, preconditions, limits."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from itertools import islice
from typing import Any, ClassVar

from django.conf import settings
from django.db.models import QuerySet
from django.utils.datastructures import MultiValueDict
from django.utils.translation import gettext as _
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework import exceptions, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from clearance import numerals, text
from clearance.api.refusals import MOST_DETAILS, TooLarge, has_precondition

# RFC 9110, 8.8.3: an entity tag, weak or strong. Ours are numbers, which may come without their quotes.
_TAG = re.compile(r'(?:W/)?"([\x21\x23-\x7e\x80-\xff]*)"|([0-9]{1,18})')
_VERSION = re.compile(r"[0-9]{1,18}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class StrictSerializer(serializers.Serializer):
    """Input that says so when it brings a field nobody knows; what is read-only may come along and is ignored.

    Nor does it take numbers for text, a mapping for a list of choices, or 1_000 for a number, as DRF does. Texts are of
    one line, unless the field is a text area, and come in the form in which they are kept.
    """

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return super().to_internal_value(data)
        unknown = (str(name) for name in data if name not in self.fields)
        wrong = {name: [_("There is no such field.")] for name in islice(unknown, MOST_DETAILS + 1)}
        if not wrong:
            given = [(name, field, data[name]) for name, field in self.fields.items() if name in data]
            wrong = {name: [told] for name, field, value in given if (told := _misread(field, value))}
            if not isinstance(data, MultiValueDict):  # which brings a file and nothing that is kept
                data = {name: _kept(field, value) for name, field, value in given if name not in wrong}
        try:
            values = super().to_internal_value(data)
        except serializers.ValidationError as error:
            raise serializers.ValidationError({**error.detail, **wrong}) from error
        if wrong:
            raise serializers.ValidationError(wrong)
        return values


def _misread(field: serializers.Field, value: Any) -> str:
    """Why a value that DRF would read as something else is none of the field's; empty: it would not."""
    if field.read_only or value is None:
        return ""
    if isinstance(field, serializers.MultipleChoiceField):
        message = field.error_messages["not_a_list"]
        return "" if isinstance(value, list) else str(message).format(input_type=type(value).__name__)
    if isinstance(field, serializers.ListField) and isinstance(value, list):
        return _misread_list(field, value)
    if isinstance(field, serializers.CharField):
        if not isinstance(value, str):
            return str(field.error_messages["invalid"])
        return text.objection(value.strip()) if _is_of_one_line(field) else ""
    return "" if not isinstance(value, str) or _is_plain(field, value.strip()) else _invalid(field)


def _misread_list(field: serializers.ListField, values: list[Any]) -> str:
    """Before any is looked at, whether there are too many; then what the first is that would be misread."""
    if field.max_length is not None and len(values) > field.max_length:
        return str(field.error_messages["max_length"]).format(max_length=field.max_length)
    return next((told for one in values if (told := _misread(field.child, one))), "")


def _is_plain(field: serializers.Field, given: str) -> bool:
    """Whether a number or a date is written as the document says, and not in some other way that Python reads."""
    if isinstance(field, serializers.IntegerField):
        return numerals.WHOLE.fullmatch(given) is not None
    if isinstance(field, serializers.DecimalField):
        return numerals.DECIMAL.fullmatch(given) is not None
    if isinstance(field, serializers.DateField):
        return _DAY.fullmatch(given) is not None
    return not isinstance(field, serializers.DateTimeField) or given.isascii()


def _invalid(field: serializers.Field) -> str:
    return str(field.error_messages["invalid"]).format(format="YYYY-MM-DD", input_type="str")


def _is_of_one_line(field: serializers.Field) -> bool:
    """Whether a text is of one line: what isn't trimmed is a secret, what has a text area may have several."""
    is_text = isinstance(field, serializers.CharField) and field.trim_whitespace
    return is_text and field.style.get("base_template") != "textarea.html"


def _kept(field: serializers.Field, value: Any) -> Any:
    if isinstance(field, serializers.ListField) and isinstance(value, list):
        return [_kept(field.child, one) for one in value]
    return text.kept(value) if isinstance(value, str) and _is_of_one_line(field) else value


class StrictFilters(DjangoFilterBackend):
    """The view's filters; a parameter that nobody knows is refused, not ignored."""

    paging = frozenset({"page", "page_size", "cursor", "ordering", "format"})

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        given = request.query_params.keys() - self.paging
        if not given:
            return queryset
        if unknown := given - view.filterset_class.base_filters.keys():
            known = ", ".join(sorted(view.filterset_class.base_filters))
            sentence = _("There is no such filter. There are: {known}.").format(known=known)
            raise exceptions.ValidationError({name: [sentence] for name in sorted(unknown)[: MOST_DETAILS + 1]})
        return super().filter_queryset(request, queryset, view)


class Desk(GenericViewSet):
    """A viewset that validates, calls one desk and answers."""

    filter_backends: ClassVar[list[Any]] = [StrictFilters]

    def rows(self, found: QuerySet[Any]) -> QuerySet[Any]:
        """Select what an answer shows of the records; apart, so that what it joins burdens no filter and no count."""
        return found

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        length = request.META.get("CONTENT_LENGTH") or ""
        if length.isascii() and length.isdecimal() and int(length[:20]) > settings.UPLOAD_LIMIT_BYTES:
            limit = settings.UPLOAD_LIMIT_BYTES // 1024 // 1024
            raise TooLarge(_("The body is larger than {limit} MB. Send less at once.").format(limit=limit))
        super().initial(request, *args, **kwargs)

    def validated(self, request: Request, **options: Any) -> dict[str, Any]:
        """The body's typed values, with `version` from `If-Match` where only that is given: each that will do."""
        if not isinstance(request.data, Mapping):
            raise exceptions.ValidationError(_("Send a JSON object."))
        serializer = self.get_serializer(data=request.data, **options)
        serializer.is_valid(raise_exception=True)
        values: dict[str, Any] = dict(serializer.validated_data)
        if has_precondition(request):
            values["version"] = _precondition(request.headers["If-Match"])
        return values


def done() -> Response:
    """The answer where there is nothing more to say."""
    return Response(status=status.HTTP_204_NO_CONTENT)


def _precondition(header: str) -> Collection[int] | None:
    """The versions in a list of entity tags; None for `*`. A tag that was never ours is no version, so it is stale.

    Weak tags count as strong ones: what compresses an answer makes its tag weak, and the record is the same.
    """
    if header.strip() == "*":
        return None
    versions: list[int] = []
    rest = header.strip(" \t,")
    while True:
        found = _TAG.match(rest)
        after = rest[found.end() :].lstrip(" \t") if found else ""
        if found is None or (after and not after.startswith(",")):
            raise exceptions.ValidationError({"If-Match": [_("Send the ETag of the last answer.")]})
        tag = found[1] if found[1] is not None else found[2]
        versions += [int(tag)] if _VERSION.fullmatch(tag) else []
        rest = after.lstrip(" \t,")
        if not rest:
            return versions
