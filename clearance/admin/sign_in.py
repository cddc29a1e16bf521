"""Signing in to the back office: the password, the code, a forgotten password; and the page of one's own sign-in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.auth import login, update_session_auth_hash
from django.contrib.auth.forms import PasswordChangeForm, SetPasswordMixin
from django.contrib.auth.views import LoginView, PasswordChangeView
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import reverse, reverse_lazy
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.generic import FormView

from accounts import selectors
from accounts import services as accounts
from accounts.choices import Purpose
from accounts.errors import LinkRefused
from accounts.models import BrowserSession, SecondFactor, SignIn, User
from audit import services as audit
from clearance import context
from clearance.admin.display import browser
from clearance.errors import DomainError

BACKEND = "accounts.backends.Sessions"
_NOTED_EVERY = timedelta(minutes=5)
_PROVED, _CODE_WITHIN = "password_proved", timedelta(minutes=5)


def refuse(request: HttpRequest, refusal: DomainError) -> None:
    attempted = f"{request.method} {request.path}"
    audit.record_denial(refusal, entity_type="page", entity_id=request.path, attempted=attempted)


def ask_for_code(request: HttpRequest, user: User, goal: str) -> HttpResponse:
    """Have somebody whose first factor is proved prove the second one within minutes."""
    request.session.cycle_key()
    until = timezone.now() + _CODE_WITHIN
    request.session[_PROVED] = [user.pk, until.timestamp()]
    return HttpResponseRedirect(f"{reverse('admin:login_code')}?{urlencode({'next': goal})}")


def too_many(request: HttpRequest, told: str) -> HttpResponse:
    """Tell a stranger that it is enough for now."""
    given = {**admin.site.each_context(request), "title": gettext("Signing in did not work"), "told": told}
    return render(request, "admin/too_many.html", given, status=429)


def _where_and_when() -> dict[str, Any]:
    return {"at": timezone.now(), "ip_address": context.current().ip_address}


def enter(request: HttpRequest, user: User) -> None:
    """Open a session for somebody who has proved who they are."""
    login(request, user, backend=BACKEND)
    _note_opening(request)


def _note_opening(request: HttpRequest) -> None:
    at = timezone.now().isoformat()
    request.session["opened"] = {
        "at": at,
        "seen_at": at,
        "ip_address": context.current().ip_address,
        "user_agent": request.headers.get("User-Agent", "")[:200],
    }


def note_use(request: HttpRequest) -> None:
    """Note in a session every five minutes that it is used; others stay as they are, and aren't written."""
    opened, at = request.session.get("opened"), timezone.now()
    if opened and datetime.fromisoformat(opened["seen_at"]) <= at - _NOTED_EVERY:
        request.session["opened"] = {**opened, "seen_at": at.isoformat()}


# Signing in ----------------------------------------------------------------------------------------------------------
class SignInForm(AdminAuthenticationForm):
    """Asks the desk, which counts failures; has the trail know who was kept out."""

    needs_code = False

    def clean(self) -> dict[str, Any]:
        given: dict[str, Any] = self.cleaned_data
        if given.keys() >= {"username", "password"}:
            proof = {"email": given["username"], "password": given["password"]}
            try:
                self.user_cache, self.needs_code = accounts.prove_password(**proof, **_where_and_when())
            except DomainError as refusal:
                refuse(self.request, refusal)
                raise ValidationError(str(refusal)) from refusal
        return given


class SignInPage(LoginView):
    template_name = "admin/login.html"
    authentication_form = SignInForm
    next_page = reverse_lazy("admin:index")

    def form_valid(self, form: SignInForm) -> HttpResponse:
        if form.needs_code:
            return ask_for_code(self.request, form.get_user(), self.get_success_url())
        enter(self.request, form.get_user())
        return HttpResponseRedirect(self.get_success_url())


class CodeForm(forms.Form):
    """The second half of signing in, for whom the session says that the password was proved."""

    code = forms.CharField(
        label=_("Code"),
        max_length=30,
        help_text=_("From your authenticator app; or one of your backup codes."),
        widget=forms.TextInput({"autocomplete": "one-time-code", "autofocus": True}),
    )

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.request = request
        self.user: User | None = None

    def clean_code(self) -> str:
        code: str = self.cleaned_data["code"]
        user_id, _until = self.request.session[_PROVED]
        try:
            self.user = accounts.prove_code(user_id=user_id, code=code, **_where_and_when())
        except DomainError as refusal:
            refuse(self.request, refusal)
            raise ValidationError(str(refusal)) from refusal
        return code

    def get_user(self) -> User | None:
        return self.user


class CodePage(SignInPage):
    template_name = "admin/login_code.html"
    authentication_form = CodeForm

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        _user_id, until = request.session.get(_PROVED, (None, 0))
        if timezone.now().timestamp() >= until:
            return HttpResponseRedirect(reverse("admin:login"))
        return super().dispatch(request, *args, **kwargs)

    def form_valid(self, form: CodeForm) -> HttpResponse:
        del self.request.session[_PROVED]
        enter(self.request, form.get_user())
        return HttpResponseRedirect(self.get_success_url())


# A forgotten password, and another one -------------------------------------------------------------------------------
class ForgottenForm(forms.Form):
    email = forms.EmailField(
        label=_("E-mail address"), widget=forms.EmailInput({"autocomplete": "email", "autofocus": True})
    )


class ForgottenPage(FormView):
    """Says the same whether or not anybody has the address."""

    template_name = "admin/forgotten.html"
    form_class = ForgottenForm

    def form_valid(self, form: ForgottenForm) -> HttpResponse:
        accounts.request_reset(email=form.cleaned_data["email"], at=timezone.now())
        return self.render_to_response(self.get_context_data(is_done=True))


class NewPasswordForm(SetPasswordMixin, forms.Form):
    """Carries the token of the link, so that it stands in no address that is posted to."""

    token = forms.CharField(widget=forms.HiddenInput, max_length=200)
    password, password2 = SetPasswordMixin.create_password_fields(_("New password"), _("New password again"))
    password2.help_text = ""

    def clean(self) -> dict[str, Any]:
        self.validate_passwords("password", "password2")
        return self.cleaned_data


class NewPasswordPage(FormView):
    """Opening the link changes nothing; sending the form does."""

    template_name = "admin/new_password.html"
    form_class = NewPasswordForm
    purpose = Purpose.RESET
    desk = staticmethod(accounts.reset_password)

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Say at once that a link is no good, before somebody thinks of a password."""
        token = request.GET.get("token", "")
        refusal = None if selectors.is_good_link(token, purpose=self.purpose, at=timezone.now()) else LinkRefused()
        return self.render_to_response(self.get_context_data(refusal=refusal))

    def get_initial(self) -> dict[str, Any]:
        return {"token": self.request.GET.get("token", "")}

    def form_valid(self, form: NewPasswordForm) -> HttpResponse:
        given = {name: form.cleaned_data[name] for name in ("token", "password")}
        try:
            self.desk(**given, at=timezone.now())
        except DomainError as refusal:
            field = "password" if refusal.field == "password" else None
            form.add_error(field, str(refusal))
            return self.form_invalid(form)
        messages.success(self.request, gettext("Your password is set. Sign in with it."))
        return HttpResponseRedirect(reverse("admin:login"))


class InvitationPage(NewPasswordPage):
    """The page behind the link of an invitation."""

    template_name = "admin/invitation.html"
    purpose = Purpose.INVITE
    desk = staticmethod(accounts.accept_invitation)


class OwnPasswordForm(PasswordChangeForm):
    """Fields only: whether the passwords are right is for the desk to say."""

    required_css_class = "required"
    new_password1, new_password2 = SetPasswordMixin.create_password_fields(_("New password"), _("New password again"))
    new_password2.help_text = ""

    def clean_old_password(self) -> str:
        return str(self.cleaned_data["old_password"])

    def clean(self) -> dict[str, Any]:
        self.validate_passwords("new_password1", "new_password2")
        return self.cleaned_data


class OwnPasswordPage(PasswordChangeView):
    form_class = OwnPasswordForm
    template_name = "admin/own_password.html"
    success_url = reverse_lazy("admin:password_change_done")
    _fields = {"current_password": "old_password", "password": "new_password1"}

    def form_valid(self, form: OwnPasswordForm) -> HttpResponse:
        given = {name: form.cleaned_data[field] for name, field in self._fields.items()}
        try:
            accounts.change_password(user=self.request.user, **given, **_where_and_when())
        except DomainError as refusal:
            refuse(self.request, refusal)
            form.add_error(self._fields.get(refusal.field), str(refusal))
            return self.form_invalid(form)
        update_session_auth_hash(self.request, self.request.user)
        _note_opening(self.request)
        return HttpResponseRedirect(self.get_success_url())


# One's own sign-in ---------------------------------------------------------------------------------------------------
def own_sign_in(request: HttpRequest, given: dict[str, Any]) -> HttpResponse:
    """Show how one signs in, and do what one of its forms asks for; backup codes are shown this once."""
    codes: list[str] | None = None
    if request.method == "POST":
        try:
            codes = _DEEDS[request.POST.get("do", "")](request)
        except KeyError:
            return HttpResponseRedirect(request.path)
        except DomainError as refusal:
            refuse(request, refusal)
            messages.error(request, str(refusal))
        if codes is None:
            return HttpResponseRedirect(request.path)
    user, at = request.user, timezone.now()
    return TemplateResponse(
        request,
        "admin/own_sign_in.html",
        {
            **given,
            "title": _("Your sign-in"),
            "codes": codes,
            "enrolment": accounts.pending_second_factor(user, at=at),
            "factor": SecondFactor.objects.confirmed().filter(user=user).first(),
            "codes_left": accounts.backup_codes_left(user),
            "browsers": _browsers(request),
            "sign_ins": SignIn.objects.live(at=at).filter(user=user),
        },
    )


def _browsers(request: HttpRequest) -> list[BrowserSession]:
    """Where one is signed in to the back office, this session first."""
    found = list(BrowserSession.objects.of(request.user, at=timezone.now()))
    for one in found:
        one.is_here = one.session_key == request.session.session_key
        one.told = browser(one.user_agent)
    return sorted(found, key=lambda one: not one.is_here)


def _end(request: HttpRequest) -> None:
    accounts.end_browser_session(user=request.user, handle=request.POST.get("handle", ""), at=timezone.now())
    messages.success(request, gettext("The session is ended."))


def _set_up(request: HttpRequest) -> None:
    accounts.set_up_second_factor(user=request.user, password=request.POST.get("password", ""), **_where_and_when())


def _enable(request: HttpRequest) -> list[str]:
    code = request.POST.get("code", "")
    codes = accounts.enable_second_factor(user=request.user, code=code, at=timezone.now())
    update_session_auth_hash(request, request.user)  # this session goes on
    _note_opening(request)
    return codes


def _disable(request: HttpRequest) -> None:
    accounts.disable_second_factor(user=request.user, password=request.POST.get("password", ""), **_where_and_when())
    messages.success(request, gettext("The second factor is off."))


def _new_codes(request: HttpRequest) -> list[str]:
    password = request.POST.get("password", "")
    return accounts.regenerate_backup_codes(user=request.user, password=password, **_where_and_when())


def _send_verification(request: HttpRequest) -> None:
    accounts.send_verification(user=request.user, at=timezone.now())
    messages.success(request, gettext("A mail with a link is on its way to you."))


def _sign_out_everywhere(request: HttpRequest) -> None:
    accounts.sign_out_everywhere(user=request.user, at=timezone.now())


_DEEDS: dict[str, Callable[[HttpRequest], list[str] | None]] = {
    "set_up": _set_up,
    "enable": _enable,
    "disable": _disable,
    "new_codes": _new_codes,
    "send_verification": _send_verification,
    "end": _end,
    "sign_out_everywhere": _sign_out_everywhere,
}


def verify_email(request: HttpRequest, given: dict[str, Any]) -> HttpResponse:
    """The page behind the link of the mail: opening it changes nothing, its button does."""
    if request.method == "POST":
        try:
            accounts.verify_email(token=request.POST.get("token", ""), by=request.user, at=timezone.now())
        except DomainError as refusal:
            messages.error(request, str(refusal))
        else:
            messages.success(request, gettext("Your e-mail address is verified."))
        return HttpResponseRedirect(reverse("admin:own_sign_in"))
    page = {**given, "title": _("Verify the e-mail address"), "token": request.GET.get("token", "")}
    return TemplateResponse(request, "admin/verify_email.html", page)
