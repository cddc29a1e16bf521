"""What every viewset does before and after it calls its desk: strict filters and input, preconditions, limits."""

from __future__ import annotations

import re
from collections.abc import Mapping
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

from clearance import text
from clearance.api.refusals import TooLarge, has_precondition

_TAG = re.compile(r'(?:W/)?"?([0-9]{1,18})"?')


class StrictSerializer(serializers.Serializer):
    """Input that says so when it brings a field nobody knows; what is read-only may come along and is ignored.

    Nor does it take numbers for text, or a mapping for a list of choices, as DRF does. Texts are of one line, unless
    the field is a text area, and come in the form in which they are kept.
    """

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return super().to_internal_value(data)
        wrong = {name: [_("There is no such field.")] for name in sorted(set(map(str, data)) - set(self.fields))}
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
        return next(filter(None, (_misread(field.child, one) for one in value)), "")
    if isinstance(field, serializers.CharField):
        if not isinstance(value, str):
            return str(field.error_messages["invalid"])
        return text.objection(value.strip()) if _is_of_one_line(field) else ""
    return ""


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
            raise exceptions.ValidationError({name: [sentence] for name in sorted(unknown)})
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
        """The body's typed values, with `version` from `If-Match` where only that is given."""
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


def _precondition(tag: str) -> int | None:
    """The version in an entity tag, weak or strong; None for `*`."""
    tag = tag.strip()
    if tag == "*":
        return None
    found = _TAG.fullmatch(tag)
    if found is None:
        raise exceptions.ValidationError({"If-Match": [_("Send the ETag of the last answer.")]})
    return int(found[1])
