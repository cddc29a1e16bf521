"""The pages of one's own sign-in and messages, and what somebody signed in must do before anything else."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts.doors.authentication import owes_second_factor
from accounts.pages import company_sign_in, own_messages, sign_in
from clearance.admin.pages import Page, page_context

# What somebody may use who owes a second factor: the page where it is set up, and the way out.
_WITHOUT_SECOND_FACTOR = {"own_sign_in", "logout", "language", "jsi18n", "verify_email"}


def second_factor_first(request: HttpRequest) -> HttpResponse | None:
    """Lead whoever owes a second factor to the page where it is set up."""
    is_free = request.resolver_match and request.resolver_match.url_name in _WITHOUT_SECOND_FACTOR
    return None if is_free or not owes_second_factor(request) else HttpResponseRedirect(reverse("admin:own_sign_in"))


def wait_for_rights(request: HttpRequest) -> HttpResponse | None:
    """Tell somebody without any rights on the first page what they wait for."""
    if not (request.resolver_match and request.resolver_match.url_name == "index" and request.user.waits_for_rights):
        return None
    page = page_context(request, _("Your account waits for an administrator"))
    return TemplateResponse(request, "admin/waiting.html", page)


GUARDS = (second_factor_first, wait_for_rights)
PAGES = (
    Page("login/", "login", sign_in.SignInPage.as_view(), is_open=True),
    Page("login/code/", "login_code", sign_in.CodePage.as_view(), is_open=True),
    Page("login/provider/", "provider", company_sign_in.start, is_open=True),
    Page("login/provider/callback/", "provider_callback", company_sign_in.callback, is_open=True),
    Page("reset/", "new_password", sign_in.NewPasswordPage.as_view(), is_open=True),
    Page("invitation/", "invitation", sign_in.InvitationPage.as_view(), is_open=True),
    Page("password_change/", "password_change", sign_in.OwnPasswordPage.as_view()),
    Page("sign_in/", "own_sign_in", sign_in.own_sign_in),
    Page("messages/", "own_messages", own_messages.own_messages),
    Page("verify_email/", "verify_email", sign_in.verify_email),
    Page("language/", "language", own_messages.choose_language),
)
