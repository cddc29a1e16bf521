"""Every address: the admin, the API and its documentation."""

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import include, path, re_path
from django.utils.translation import gettext as _
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularRedocView, SpectacularSwaggerView

from clearance import health
from clearance.api import refusals
from clearance.errors import NotFound


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


def failed(request: HttpRequest) -> HttpResponse:
    if request.path.startswith("/api/"):
        return refusals.answer_outside_views(500, str(refusals.FAILURE))
    return defaults.server_error(request)


handler400 = bad_request
handler404 = not_found
handler500 = failed

v1 = [
    path("", include("accounts.urls")),
    path("", include("shipments.urls")),
    path("", include("workflow.urls")),
    path("", include("alerts.urls")),
    path("health", health.Health.as_view()),
    path("health/live", health.Live.as_view()),
    path("health/ready", health.Ready.as_view()),
    path("health/db", health.Database.as_view()),
    path("health/redis", health.Redis.as_view()),
    path("openapi.json", SpectacularJSONAPIView.as_view(), name="openapi"),
    path("docs", SpectacularSwaggerView.as_view(url_name="openapi")),
    path("redoc", SpectacularRedocView.as_view(url_name="openapi")),
]
urlpatterns = [
    path("", lambda request: HttpResponseRedirect(f"/{settings.ADMIN_PATH}")),
    path("api/v1/", include(v1)),
    re_path(r"^api(/.*)?$", unknown_api_address),
    path(settings.ADMIN_PATH, admin.site.urls),
]
