"""Answers as JSON, and for people in a browser."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
from csp.constants import SELF, UNSAFE_INLINE
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from rest_framework import exceptions
from rest_framework.metadata import BaseMetadata
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer, BrowsableAPIRenderer
from rest_framework.request import Request

OPTIONS = orjson.OPT_NON_STR_KEYS


def encode(value: Any) -> Any:
    if isinstance(value, (Decimal, Promise)):
        return str(value)
    raise TypeError(f"{type(value)} has no JSON form")


class JSON(BaseRenderer):
    """Decimals as strings, so that no reader rounds money."""

    media_type = "application/json"
    format = "json"
    charset = None
    render_style = "binary"

    def render(self, data: Any, accepted_media_type: Any = None, renderer_context: Any = None) -> bytes:
        return b"" if data is None else orjson.dumps(data, default=encode, option=OPTIONS)


class ReadableJSON(JSON):
    """Indented, for people."""

    render_style = "text"

    def render(self, data: Any, accepted_media_type: Any = None, renderer_context: Any = None) -> bytes:
        return b"" if data is None else orjson.dumps(data, default=encode, option=OPTIONS | orjson.OPT_INDENT_2)


class BrowsableAPI(BrowsableAPIRenderer):
    """The browsable API, without drop-downs of every record there is."""

    def render(self, data: Any, accepted_media_type: Any = None, renderer_context: Any = None) -> Any:
        # DRF's templates place their buttons by style attributes. What django-csp's decorator does, for one rendering.
        renderer_context["response"]._csp_update = {"style-src": [SELF, UNSAFE_INLINE]}
        return super().render(data, accepted_media_type, renderer_context)

    def get_default_renderer(self, view: Any) -> BaseRenderer:
        return ReadableJSON()

    def get_filter_form(self, data: Any, view: Any, request: Request) -> None:
        return None


class Negotiation(DefaultContentNegotiation):
    """What an answer is written in: `format=`, or what the caller accepts; a wish for anything else is a 406."""

    def select_renderer(
        self, request: Request, renderers: list[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        wanted = request.query_params.get(self.settings.URL_FORMAT_OVERRIDE)
        is_known = not wanted or wanted in {renderer.format for renderer in renderers}
        try:
            if is_known:
                return super().select_renderer(request, renderers, format_suffix)
        except exceptions.NotAcceptable:
            pass
        kinds = ", ".join(renderer.media_type for renderer in renderers)
        raise exceptions.NotAcceptable(_("The answer can't be written so. There are: {kinds}.").format(kinds=kinds))


class Metadata(BaseMetadata):
    """What OPTIONS answers: what the address is for. The OpenAPI document says the rest."""

    def determine_metadata(self, request: Request, view: Any) -> dict[str, Any]:
        return {"name": view.get_view_name(), "description": view.get_view_description()}
