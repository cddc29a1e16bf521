"""Bodies of requests: strict JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

import orjson
from django.utils.translation import gettext as _
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from clearance.api.rendering import ReadableJSON


class JSON(BaseParser):
    """JSON in UTF-8. NaN, lone surrogates and nesting without end are refused, which json.load lets through."""

    media_type = "application/json"
    renderer_class = ReadableJSON  # of the browsable API's forms

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        try:
            return orjson.loads(stream.read())
        except orjson.JSONDecodeError as error:
            raise ParseError(_("The body is not valid JSON: {reason}.").format(reason=error)) from error
