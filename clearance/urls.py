"""Every address: the admin, the API and its documentation."""

import sys

from csp.constants import SELF, UNSAFE_INLINE
from csp.decorators import csp_update
from django.apps import apps
from django.conf import settings
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import ResolverMatch, include, path, re_path
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularRedocView, SpectacularSwaggerSplitView

from clearance import denials, exposition, health
from clearance.api import refusals
from clearance.errors import Forbidden, NotFound
from clearance.postgresql import is_unavailable


@csrf_exempt
def unknown_api_address(request: HttpRequest, *_args: object) -> HttpResponse:
    return refusals.answer_outside_views(404, _("There is no such address. /api/v1/docs lists them all."))


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if request.path.startswith("/api/"):
        return refusals.answer_outside_views(404, str(NotFound()))
    return defaults.page_not_found(request, exception)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if request.path.startswith("/api/"):
        return refusals.answer_outside_views(400, _("The request can't be read."))
    return defaults.bad_request(request, exception)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Leave an entry of a page of the admin that the person may not use; the API's views answer themselves."""
    page = request.resolver_match
    model = _model_of(page)
    targets = request.GET.getlist("on")
    target = targets[0] if len(targets) == 1 else ""
    denials.note(
        Forbidden(),
        about=model or "page",
        record=page.kwargs.get("object_id", target) if model else request.path,
        attempted=f"{request.method} {request.path}",
    )
    return defaults.permission_denied(request, exception)


def _model_of(page: ResolverMatch | None) -> type[Model] | None:
    """Whose records a page of the back office shows, if it shows a model's."""
    if page is None:
        return None
    if (desk := getattr(page.func, "model_admin", None)) is not None:
        return desk.model
    named = page.kwargs.keys() >= {"app_label", "model_name"}  # a page for records of every kind
    return apps.get_model(page.kwargs["app_label"], page.kwargs["model_name"]) if named else None


def failed(request: HttpRequest) -> HttpResponse:
    is_api = request.path.startswith("/api/")
    if is_unavailable(sys.exception()):
        return refusals.answer_unavailable() if is_api else refusals.page_unavailable()
    if is_api:
        return refusals.answer_outside_views(500, str(refusals.FAILURE))
    return defaults.server_error(request)


# ReDoc searches in a worker that it makes itself, and both write style elements of their own.
docs_need = csp_update({"style-src": [SELF, UNSAFE_INLINE], "worker-src": ["blob:"]})

handler400 = bad_request
handler403 = forbidden
handler404 = not_found
handler500 = failed

forgotten = import_string("accounts.pages.sign_in.forgotten")
v1 = [
    path("", include("accounts.urls")),
    path("", include("shipments.urls")),
    path("", include("workflow.urls")),
    path("", include("alerts.urls")),
    path("", include("metrics.urls")),
    path("", include("audit.urls")),
    path("health", health.Health.as_view()),
    path("health/live", health.Live.as_view()),
    path("health/ready", health.Ready.as_view()),
    path("health/db", health.Database.as_view()),
    path("health/redis", health.Redis.as_view()),
    path("openapi.json", SpectacularJSONAPIView.as_view(), name="openapi"),
    path("docs", docs_need(SpectacularSwaggerSplitView.as_view(url_name="openapi"))),
    path("redoc", docs_need(SpectacularRedocView.as_view(url_name="openapi"))),
]
urlpatterns = [
    path("", lambda request: HttpResponseRedirect(f"/{settings.ADMIN_PATH}")),
    path("metrics", exposition.metrics),
    path("api/v1/", include(v1)),
    re_path(r"^api(/[\s\S]*)?$", unknown_api_address),  # with line breaks, too
    path(f"{settings.ADMIN_PATH}password_reset/", forgotten, name="admin_password_reset"),  # as Django links it
    path(settings.ADMIN_PATH, admin.site.urls),
]
