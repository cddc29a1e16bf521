"""The back office for messages: what waits, what was sent, what is dead, how their carriers are, and their wording."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Case, QuerySet, Value, When
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, override
from django.utils.translation import gettext_lazy as _
from django.views.decorators.clickjacking import xframe_options_sameorigin

from clearance.admin.desk import DeskAdmin, ReadOnlyDesk
from clearance.admin.display import BUTTON, pill
from clearance.admin.verbs import Button, Verb
from clearance.languages import Language
from outbox import messages, rules
from outbox import services as outbox
from outbox.choices import Channel, Delivery
from outbox.errors import Undeliverable
from outbox.models import Carrier, Message, SmsTemplate
from outbox.rules import Content

# Nothing but its own styles: what a mail shows, it brings along.
PREVIEW_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; "
    "sandbox"
)


def _resend(message: Message, *, by: rules.Person, at: datetime) -> None:
    outbox.resend(message_id=message.pk, by=by, at=at)


def composed(message: Message, language: str, *, at: datetime) -> Content | None:
    """What the message would say if it were sent now, in that language; None: it would not be sent.

    Without its secret: who sees the mail here could use a link that is meant for its recipient.
    """
    message.recipient.language = language  # of this copy in memory only
    try:
        with override(language):
            kind = messages.kinds().get(message.kind)  # none: no app brings it any more
            content = kind.compose(message, at) if kind else None
    except Undeliverable:
        return None
    return content and content.without_secret()


def _both_languages(compose: Callable[[Language], Any]) -> list[dict[str, Any]]:
    return [
        {
            "language": language,
            "name": language.label,
            "is_rtl": language == Language.ARABIC,
            "content": compose(language),
        }
        for language in Language
    ]


class KindFilter(admin.SimpleListFilter):
    title = _("kind")
    parameter_name = "kind__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(kind.code, kind.name) for kind in messages.kinds().values()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Message]) -> QuerySet[Message]:
        return queryset.filter(kind=self.value()) if self.value() else queryset


@admin.register(Message)
class MessageAdmin(ReadOnlyDesk):
    """Messages are written by what causes them and sent by the worker; here one sees how their delivery stands."""

    list_display = ("about", "kind_told", "created_at", "state", "trouble", "verbs_here")
    list_display_links = ("about",)
    list_filter = ("delivery", "channel", KindFilter, ("recipient", admin.RelatedOnlyFieldListFilter))
    search_fields = ("recipient__full_name", "recipient__email", "recipient__phone")
    search_help_text = _("Name, address or phone number of the recipient.")
    sortable_by = ()
    when_empty = _("No message yet. The sweep writes them every morning.")
    change_list_template = "admin/noticed_list.html"
    change_form_template = "admin/outbox/message/change_form.html"
    fields = (
        "recipient",
        "address",
        "channel",
        "kind_told",
        "state",
        "trouble",
        "created_at",
        "not_before",
        "number",
        "provider_id",
    )
    verbs = (
        Verb(
            name="resend",
            label=_("Send again"),
            explanation=_(
                "The message goes back into the outbox, with three tries. First see to what was refused: the address "
                "or the phone number, or what is behind it."
            ),
            permission="outbox.resend_message",
            run=_resend,
            fits=lambda message, _request: message.delivery == Delivery.DEAD,
            done=_("“{object}” waits to be sent again."),
            many=_("Send dead letters again"),
        ),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        return Message.objects.select_related("recipient").annotate(
            dead_first=Case(When(delivery=Delivery.DEAD, then=Value(0)), default=Value(1))
        )

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        return ("dead_first", "-id")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        wording = Button(_("Wording of all messages"), reverse("admin:outbox_message_samples"), is_dangerous=False)
        given = {"notices": self.notices(request), "verb_buttons": [*self.buttons(request), wording]}
        return super().changelist_view(request, {**given, **(extra_context or {})})

    def notices(self, request: HttpRequest) -> list[dict[str, Any]]:
        """What to know while a carrier does not work."""
        sentences = {
            Channel.MAIL: gettext("The mail server has not worked since %(at)s: mails wait, and none is lost."),
            Channel.SMS: gettext("Text messages have not gone out since %(at)s: they wait, and none is lost."),
        }
        said = gettext("It said: %(failure)s. It is tried again every minute.")
        return [
            {
                "text": sentences[Channel(carrier.channel)] % {"at": _moment(carrier.down_since)},
                "advice": said % {"failure": carrier.last_failure},
                "buttons": (),
            }
            for carrier in Carrier.objects.down().order_by("channel")
        ]

    # The list --------------------------------------------------------------------------------------------------------
    def prepare(self, rows: list[Message], request: HttpRequest) -> None:
        """Ask once what the messages of the page are about."""
        known = messages.kinds()
        told: dict[int, str] = {}
        for tell in {known[row.kind].about for row in rows if row.kind in known} - {None}:
            told |= tell([row.pk for row in rows])
        for message in rows:
            message.told = told.get(message.pk, "")
            message.buttons = self.buttons(request, message, back=request.get_full_path())

    @admin.display(description=_("recipient"))
    def about(self, message: Message) -> SafeString:
        return format_html(
            '{} <span class="aside below"><bdi>{}</bdi></span>', message.recipient, self.address(message)
        )

    @admin.display(description=_("kind"))
    def kind_told(self, message: Message) -> SafeString | str:
        told = message.get_channel_display() if message.channel == Channel.SMS else getattr(message, "told", "")
        if not told:
            return message.kind_name
        return format_html('{} <span class="aside below"><bdi>{}</bdi></span>', message.kind_name, told)

    @admin.display(description=_("delivery"))
    def state(self, message: Message) -> SafeString:
        if message.sent_at:
            return format_html(
                '{} <span class="aside below short">{}</span>', pill(Delivery.SENT), _moment(message.sent_at)
            )
        return pill(Delivery(message.delivery))

    @admin.display(description=_("what the carrier said"))
    def trouble(self, message: Message) -> SafeString | str:
        if not message.last_refusal:
            return "–"
        refusals = gettext("refused %(count)d times") % {"count": message.refusals} if message.refusals else ""
        return format_html('<bdi>{}</bdi> <span class="aside below">{}</span>', message.last_refusal, refusals)

    @admin.display(description="", empty_value="")
    def verbs_here(self, message: Message) -> SafeString:
        links = ((one.url, one.label, message) for one in getattr(message, "buttons", ()))
        return format_html_join("", BUTTON, links)

    # The page, with the mail as it would be sent ---------------------------------------------------------------------
    @admin.display(description=_("address"))
    def address(self, message: Message) -> str:
        return message.recipient.phone if message.channel == Channel.SMS else message.recipient.email

    @admin.display(description=_("Message-ID"))
    def number(self, message: Message) -> str:
        return str(message.message_id)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, obj: Any = None, **kwargs: Any
    ) -> HttpResponse:
        if obj is not None:
            context["previews"] = self._previews(obj)
            context["is_text"] = obj.channel == Channel.SMS
            context["mail_folder"] = _folder(Channel(obj.channel))
        return super().render_change_form(request, context, *args, obj=obj, **kwargs)

    def _previews(self, message: Message) -> list[dict[str, Any]]:
        """English and Arabic, the recipient's own language first."""
        own, at = message.recipient.language, timezone.now()
        previews = _both_languages(lambda language: composed(message, language, at=at))
        for preview in previews:
            preview["is_own"] = preview["language"] == own
            preview["url"] = reverse("admin:outbox_message_preview", args=[message.pk, preview["language"]])
            if message.channel == Channel.SMS and preview["content"]:
                preview["segments"] = rules.segments(preview["content"].text)
        return sorted(previews, key=lambda one: not one["is_own"])

    def get_urls(self) -> list[Any]:
        pages = (
            ("<int:pk>/preview/<slug:language>/", xframe_options_sameorigin(self.preview), "preview"),
            ("samples/", self.samples, "samples"),
            ("samples/<slug:kind>/<slug:language>/", xframe_options_sameorigin(self.sample), "sample"),
        )
        return [
            *(
                path(address, self.admin_site.admin_view(view), name=f"outbox_message_{name}")
                for address, view, name in pages
            ),
            *super().get_urls(),
        ]

    def preview(self, request: HttpRequest, pk: int, language: str) -> HttpResponse:
        """The mail's HTML alone, without a script or a link that works."""
        message = self.get_queryset(request).filter(pk=pk).first()
        if not self.has_view_permission(request) or message is None or language not in Language.values:
            raise Http404
        content = composed(message, language, at=timezone.now())
        if content is None or not content.html:
            raise Http404
        return HttpResponse(content.html, headers={"Content-Security-Policy": PREVIEW_POLICY})

    # The wording of every kind ---------------------------------------------------------------------------------------
    def samples(self, request: HttpRequest) -> HttpResponse:
        """Every kind of mail and every text, with made-up facts; nothing is written."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        at = timezone.now()
        return TemplateResponse(
            request,
            "admin/outbox/samples.html",
            {
                **self.admin_site.each_context(request),
                "title": _("Wording of all messages"),
                "opts": self.opts,
                "mails": [{"kind": kind, "previews": _mails(kind, at=at)} for kind in messages.mails()],
                "texts": [{"template": one, "previews": _texts(one)} for one in SmsTemplate.objects.all()],
                "may_word": request.user.has_perm("outbox.change_smstemplate"),
            },
        )

    def sample(self, request: HttpRequest, kind: str, language: str) -> HttpResponse:
        """The HTML of a made-up mail alone."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if kind not in {one.code for one in messages.mails()} or language not in Language.values:
            raise Http404
        content = messages.sample(kind, language=Language(language), at=timezone.now())
        return HttpResponse(content.html, headers={"Content-Security-Policy": PREVIEW_POLICY})


def _mails(kind: messages.Kind, *, at: datetime) -> list[dict[str, Any]]:
    previews = _both_languages(lambda language: messages.sample(kind.code, language=language, at=at))
    for preview in previews:
        preview["url"] = reverse("admin:outbox_message_sample", args=[kind.code, preview["language"]])
    return previews


def _texts(template: SmsTemplate) -> list[dict[str, Any]]:
    previews = _both_languages(lambda language: messages.sample_text(template, language=language))
    for preview in previews:
        preview["segments"] = rules.segments(preview["content"])
    return previews


def _folder(channel: Channel) -> Any:
    """Where messages become files, on one's own machine."""
    if channel == Channel.SMS:
        return settings.SMS_FILE_PATH if settings.SMS_PROVIDER == "console" else ""
    return settings.EMAIL_FILE_PATH if settings.MAIL_BECOMES_FILES else ""


@admin.register(SmsTemplate)
class SmsTemplateAdmin(DeskAdmin):
    """What text messages say, in both languages."""

    list_display = ("name", "is_active")
    sortable_by = ()
    fields = ("content_en", "content_ar", "is_active")
    change_form_template = "admin/outbox/smstemplate/change_form.html"
    when_empty = _("No text is loaded yet: run “manage.py load_reference_data”.")

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name.startswith("content_"):
            language = db_field.name.removeprefix("content_")
            field.widget.attrs |= {"rows": 4, "lang": language, "dir": "rtl" if language == "ar" else "ltr"}
        return field

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, obj: Any = None, **kwargs: Any
    ) -> HttpResponse:
        if obj is not None:
            saved = SmsTemplate.objects.get(pk=obj.pk)  # what a refused form holds may not be filled in
            context |= {"previews": _texts(saved), "variables": rules.VARIABLES[saved.name].items()}
            context["most_segments"] = rules.MOST_SEGMENTS
        return super().render_change_form(request, context, *args, obj=obj, **kwargs)

    def amend(self, request: HttpRequest, form: ModelForm) -> SmsTemplate:
        return outbox.word_text(template=form.instance, by=request.user)


def _moment(at: datetime) -> str:
    return date_format(timezone.localtime(at), "DATETIME_FORMAT")
