"""An admin whose forms write through a desk and whose lists stay fast."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import AutocompleteSelect, RelatedFieldWidgetWrapper
from django.db import models
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.text import capfirst

from clearance import text
from clearance.admin.lists import CappedPaginator, DeskList, PlainList
from clearance.admin.numbers import Amount, Whole
from clearance.admin.verbs import ID, DateInput, LineForm, VerbsMixin, show_refusal
from clearance.errors import DomainError, VersionConflict


class SoundAdmin(admin.ModelAdmin):
    """What every admin has, the stock ones too: a list that no address breaks, numbers that are written plainly."""

    formfield_overrides = {
        models.IntegerField: {"form_class": Whole},
        models.BigIntegerField: {"form_class": Whole},
        models.DecimalField: {"form_class": Amount},
    }

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return PlainList

    def log_addition(self, *args: Any) -> None:
        """The audit trail remembers; a second log beside it would only disagree."""

    log_change = log_deletions = log_addition


class DeskAdmin(SoundAdmin, VerbsMixin):
    """A record's form hands its values to `take_on` or `amend`, which call one service each.

    A refusal by the service rolls everything back and shows the filled-in form again, with the sentence on it.
    """

    paginator = CappedPaginator
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    formfield_overrides = {**SoundAdmin.formfield_overrides, models.DateField: {"widget": DateInput}}
    when_empty: Any = ""  # the sentence of an empty list: what to do
    empty_value_display = "–"
    change_list_template = "admin/desk_list.html"
    change_form_template = "admin/desk_form.html"

    # What an admin fills in ------------------------------------------------------------------------------------------
    def take_on(self, request: HttpRequest, form: ModelForm) -> models.Model:
        """Call the service that adds, and return its record."""
        raise NotImplementedError

    def amend(self, request: HttpRequest, form: ModelForm) -> models.Model:
        """Call the service that changes, and return its record."""
        raise NotImplementedError

    def remove(self, request: HttpRequest, record: Any) -> None:
        """Call the service that removes."""
        raise NotImplementedError

    def prepare(self, rows: list[Any], request: HttpRequest) -> None:
        """Complete the rows of a list's page with what its columns need."""

    # Who may what: Django takes changing for seeing, so that a denied right to see would mean little ------------------
    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.has_perm(f"{self.opts.app_label}.view_{self.opts.model_name}"))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_view_permission(request, obj) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_view_permission(request, obj) and super().has_delete_permission(request, obj)

    # Forms through the desk ------------------------------------------------------------------------------------------
    def save_model(self, request: HttpRequest, obj: models.Model, form: ModelForm, change: bool) -> None:
        saved = (self.amend if change else self.take_on)(request, form)
        obj.pk = saved.pk

    def save_related(self, request: HttpRequest, form: ModelForm, formsets: Any, change: bool) -> None:
        """The service has written everything."""

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        try:
            return super().changeform_view(request, object_id, *args, **kwargs)
        except DomainError as refusal:  # raised by save_model, inside the transaction that is rolled back by now
            self.record_denial(request, refusal, object_id or "")
            request.refusal = refusal
            return super().changeform_view(request, object_id, *args, **kwargs)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> type[ModelForm]:
        form = super().get_form(request, obj, change=change, **kwargs)
        if not issubclass(form, LineForm):
            form = type(form.__name__, (LineForm, form), {})
        if refusal := getattr(request, "refusal", None):
            return type(form.__name__, (_Refused, form), {"refusal": refusal})
        return form

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        try:
            return super().delete_view(request, object_id, extra_context)
        except DomainError as refusal:
            self.record_denial(request, refusal, object_id)
            messages.error(request, str(refusal))
            return HttpResponseRedirect("../change/")

    def delete_model(self, request: HttpRequest, obj: models.Model) -> None:
        self.remove(request, obj)

    # Pages -----------------------------------------------------------------------------------------------------------
    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """What nobody sees of the words is left out, not refused."""
        return super().get_search_results(request, queryset, text.tidied(search_term))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[DeskList]:
        return DeskList

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name in self.get_autocomplete_fields(request):
            kwargs.setdefault("widget", _Autocomplete(db_field, self.admin_site, using=kwargs.get("using")))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field and isinstance(field.widget, RelatedFieldWidgetWrapper):
            # Records are added and changed on their own pages, with their own verbs.
            field.widget = field.widget.widget
        return field

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        context = {
            "title": capfirst(self.opts.verbose_name_plural),
            "verb_buttons": self.buttons(request),
            "when_empty": self.when_empty,
            **(extra_context or {}),
        }
        return super().changelist_view(request, context)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, obj: Any = None, **kwargs: Any
    ) -> HttpResponse:
        if obj is not None:
            context |= {"title": str(obj), "subtitle": None, "verb_buttons": self.buttons(request, obj)}
        context["is_stale"] = isinstance(getattr(request, "refusal", None), VersionConflict)
        context["show_save_and_add_another"] = context["show_save_and_continue"] = False
        return super().render_change_form(request, context, *args, obj=obj, **kwargs)


class ReadOnlyDesk(DeskAdmin):
    """Records that are read here and written elsewhere, or by verbs only."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class _Autocomplete(AutocompleteSelect):
    """The stock one, which asks the database for whatever was sent; what is no id can't be there."""

    def optgroups(self, name: str, value: list[Any], attrs: dict[str, Any] | None = None) -> list[Any]:
        return super().optgroups(name, [one for one in value if ID.fullmatch(str(one))], attrs)


class _Refused(forms.ModelForm):
    """The form on its second way to the person, with the desk's refusal on it."""

    refusal: DomainError

    def _post_clean(self) -> None:
        super()._post_clean()
        show_refusal(self, self.refusal)
