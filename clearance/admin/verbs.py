"""Verbs as buttons: each opens a page that says what will happen, asks what it needs, and calls one service."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.options import IS_POPUP_VAR
from django.contrib.admin.widgets import AdminDateWidget
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import models
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from clearance import denials, text
from clearance.admin.numbers import Whole
from clearance.clock import day_of
from clearance.errors import DomainError, VersionConflict

MOST_AT_ONCE = 200
ID = re.compile(r"[0-9]{1,18}")


class DateInput(AdminDateWidget):
    """A date as Oman writes it, day first; the browser's own field would follow the browser's language instead."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__({"placeholder": gettext_lazy("dd/mm/yyyy"), "autocomplete": "off", **(attrs or {})})


class LineForm(forms.BaseForm):
    """A form whose texts are of one line, but for those in `several_lines` and those of the model's text fields.

    They come in the form in which they are kept.
    """

    several_lines: ClassVar[Collection[str]] = ()

    def _clean_fields(self) -> None:
        super()._clean_fields()
        for name, field in self.fields.items():
            value = self.cleaned_data.get(name)
            if not isinstance(value, str) or not self._is_of_one_line(name, field):
                continue
            if told := text.objection(value):
                self.add_error(name, told)
                continue
            self.cleaned_data[name] = text.kept(value)
            try:
                field.run_validators(self.cleaned_data[name])  # it may have grown
            except ValidationError as error:
                self.add_error(name, error)

    def _is_of_one_line(self, name: str, field: forms.Field) -> bool:
        """Whether a text is of one line: what isn't trimmed is a secret."""
        if not isinstance(field, forms.CharField) or not field.strip or name in self.several_lines:
            return False
        model = getattr(getattr(self, "_meta", None), "model", None)
        own = {one.name: one for one in model._meta.concrete_fields} if model else {}
        return not isinstance(own.get(name), models.TextField)


class VerbForm(LineForm, forms.Form):
    """What a verb asks; without fields, it only asks to confirm.

    Knows the record that the verb is about (None for several, or for the whole list), who acts, and the day.
    """

    def __init__(self, *args: Any, target: Any, by: AbstractBaseUser, on: date, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.target, self.by, self.on = target, by, on
        self.is_stale = False

    def facts(self) -> list[tuple[Any, Any]]:
        """What to know before deciding: labels and values, shown above the fields."""
        return []

    def refuse(self, refusal: DomainError) -> None:
        """Show a refusal of the desk at the fields that it is about, else above them."""
        show_refusal(self, refusal)
        self.is_stale = isinstance(refusal, VersionConflict)


class VersionedForm(VerbForm):
    """Carries the version that the person saw, so that nobody overwrites what somebody else did meanwhile."""

    version = Whole(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.target is not None:
            self.fields["version"].initial = self.target.version


class ReasonForm(VersionedForm):
    reason = forms.CharField(
        label=gettext_lazy("Reason"), max_length=255, widget=forms.TextInput({"size": 60, "autofocus": True})
    )


def show_refusal(form: forms.BaseForm, refusal: DomainError) -> None:
    """Add a refusal's sentences to a form, each at its field."""
    for detail in refusal.details() or [{"field": "", "message": str(refusal)}]:
        form.add_error(detail["field"] if detail["field"] in form.fields else None, detail["message"])


def _always(_target: Any, _request: HttpRequest) -> bool:
    return True


@dataclass(frozen=True, kw_only=True)
class Verb:
    """One thing that people do with a record, with several, or (`on_list`) above the list.

    `run(target, by=, at=, **cleaned_data)` calls one service (above the list: without `target`). `fits(target,
    request)` tells whether the button makes sense for this record and person; the service has the last word anyway.
    `warns(result)` yields what should be said besides `done`, a template in which `{object}` is the record and
    `{result}` what the service returned.
    """

    name: str
    label: Any
    explanation: Any
    permission: str
    run: Callable[..., Any]
    done: Any
    form: type[VerbForm] = VerbForm
    fits: Callable[[Any, HttpRequest], bool] = _always
    warns: Callable[[Any], Iterable[str]] = lambda _result: ()
    on_list: bool = False
    many: Any = ""  # the label as an action for several rows; empty: for one record only
    at_once: bool = False  # as an action, done without asking
    is_dangerous: bool = False
    shows_result: str = ""  # a template that shows the result below the form, instead of going back
    ends_with_result: bool = False  # the result takes the form's place: to be done again by opening the page anew


@dataclass(frozen=True, slots=True)
class Button:
    label: Any
    url: str
    is_dangerous: bool


class VerbsMixin(admin.ModelAdmin):
    """Gives an admin its `verbs`: buttons on pages, actions in lists, and the page behind them."""

    verbs: Sequence[Verb] = ()

    # Buttons and actions ---------------------------------------------------------------------------------------------
    def buttons(self, request: HttpRequest, target: Model | None = None, *, back: str = "") -> list[Button]:
        """The verbs that this person may use on a record (None: above the list)."""
        return [
            Button(verb.label, self.verb_url(verb, target, back=back), verb.is_dangerous)
            for verb in self.verbs
            if verb.on_list == (target is None)
            and request.user.has_perm(verb.permission)
            and verb.fits(target, request)
        ]

    def verb_url(self, verb: Verb, *targets: Model | None, back: str = "") -> str:
        query = [("on", target.pk) for target in targets if target is not None]
        if back:
            query.append(("back", back))
        url = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_verb", args=[verb.name])
        return f"{url}?{urlencode(query)}" if query else url

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        if IS_POPUP_VAR in request.GET:
            return {}
        return {
            verb.name: (_action(verb), verb.name, verb.many)
            for verb in self.verbs
            if verb.many and request.user.has_perm(verb.permission)
        }

    # The page --------------------------------------------------------------------------------------------------------
    def get_urls(self) -> list[Any]:
        name = f"{self.opts.app_label}_{self.opts.model_name}_verb"
        view = self.admin_site.admin_view(self.verb_view)
        view.model_admin = self  # as Django's own pages have it
        return [path("verbs/<slug:name>/", view, name=name), *super().get_urls()]

    def verb_view(self, request: HttpRequest, name: str) -> HttpResponse:
        """GET asks, POST does it and goes back; a refusal stays on the filled-in form."""
        verb = next((verb for verb in self.verbs if verb.name == name), None)
        if verb is None:
            raise Http404
        if not request.user.has_perm(verb.permission):
            raise PermissionDenied
        targets = [] if verb.on_list else self._targets(request)
        at = timezone.now()
        form = verb.form(
            request.POST if request.method == "POST" else None,
            request.FILES if request.method == "POST" else None,
            target=targets[0] if len(targets) == 1 else None,
            by=request.user,
            on=day_of(at),
        )
        result = None
        if request.method == "POST" and form.is_valid():
            if len(targets) > 1:
                self.do_to_several(request, verb, targets, form.cleaned_data)
                return HttpResponseRedirect(self._back(request, verb, targets))
            try:
                result = verb.run(*targets, by=request.user, at=at, **form.cleaned_data)
            except DomainError as refusal:
                self.record_denial(request, refusal, targets[0].pk if targets else "")
                form.refuse(refusal)
            else:
                if not verb.shows_result:
                    messages.success(
                        request, str(verb.done).format(object=targets[0] if targets else result, result=result)
                    )
                    for warning in verb.warns(result):
                        messages.warning(request, warning)
                    return HttpResponseRedirect(self._back(request, verb, targets))
        return TemplateResponse(
            request,
            "admin/verb.html",
            {
                **self.admin_site.each_context(request),
                "title": verb.label,
                "subtitle": str(targets[0]) if len(targets) == 1 else None,
                "opts": self.opts,
                "verb": verb,
                "form": form,
                "targets": targets,
                "result": result,
                "back": self._back(request, verb, targets),
                "media": self.media + form.media,
            },
        )

    def do_to_several(self, request: HttpRequest, verb: Verb, targets: Iterable[Model], given: dict[str, Any]) -> None:
        """Call the service once per record; each stands or falls alone, and each refusal is told."""
        at, count = timezone.now(), 0
        given = {name: value for name, value in given.items() if name != "version"}
        for target in targets:
            try:
                result = verb.run(target, by=request.user, at=at, **given)
            except DomainError as refusal:
                self.record_denial(request, refusal, target.pk)
                messages.error(request, f"{self.name_in_message(target)}: {refusal}")
            else:
                count += 1
                for warning in verb.warns(result):
                    messages.warning(request, f"{self.name_in_message(target)}: {warning}")
        if count:
            sentence = ngettext("%(verb)s: done for %(count)d.", "%(verb)s: done for %(count)d.", count)
            messages.success(request, sentence % {"verb": verb.many, "count": count})

    def record_denial(self, request: HttpRequest, refusal: DomainError, pk: object = "") -> None:
        """Leave an entry of a refusal in the trail, where it is a denial."""
        denials.note(refusal, about=self.model, record=pk, attempted=f"{request.method} {request.path}")

    def name_in_message(self, target: Model) -> str:
        """How a record is named when several are spoken of."""
        return str(target)

    def _targets(self, request: HttpRequest) -> list[Any]:
        wanted = {int(pk) for pk in request.GET.getlist("on") if ID.fullmatch(pk)}
        found = list(self.get_queryset(request).filter(pk__in=wanted)) if wanted else []
        if not found or len(found) < len(wanted):
            raise Http404
        return found

    def _back(self, request: HttpRequest, verb: Verb, targets: Sequence[Model]) -> str:
        """The page that the person came from; else the record's, if it is still there, else the list."""
        given = request.GET.get("back", "")
        if given and url_has_allowed_host_and_scheme(given, allowed_hosts=None):
            return given
        page = f"admin:{self.opts.app_label}_{self.opts.model_name}"
        if len(targets) == 1 and self.get_queryset(request).filter(pk=targets[0].pk).exists():
            return reverse(f"{page}_change", args=[targets[0].pk])
        return reverse(f"{page}_changelist")


def _action(verb: Verb) -> Callable[..., HttpResponse | None]:
    def act(model_admin: VerbsMixin, request: HttpRequest, chosen: QuerySet[Any]) -> HttpResponse | None:
        targets = list(chosen[: MOST_AT_ONCE + 1])
        if len(targets) > MOST_AT_ONCE:
            sentence = _("Choose at most %(most)d at once; nothing was done.")
            messages.error(request, sentence % {"most": MOST_AT_ONCE})
            return None
        if verb.at_once:
            model_admin.do_to_several(request, verb, targets, {})
            return None
        back = request.get_full_path()
        return HttpResponseRedirect(model_admin.verb_url(verb, *targets, back=back))

    return act
