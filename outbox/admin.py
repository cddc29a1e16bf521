"""The back office for mail: what waits, what was sent, what is dead, and how the mail server is."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import Case, Count, Min, QuerySet, Value, When
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext, override
from django.utils.translation import gettext_lazy as _
from django.views.decorators.clickjacking import xframe_options_sameorigin

from accounts.choices import Language
from accounts.models import User
from alerts.admin import BUTTON, NOTHING
from alerts.models import Alert
from clearance.admin.desk import ReadOnlyDesk
from clearance.admin.display import pill
from clearance.admin.verbs import Verb
from outbox import services as outbox
from outbox.choices import Delivery, MessageKind
from outbox.models import MailServer, Message
from outbox.rules import Content
from outbox.selectors import COMPOSE

# Nothing but its own styles: what a mail shows, it brings along.
PREVIEW_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


def _resend(message: Message, *, by: User, at: datetime) -> None:
    outbox.resend(message_id=message.pk, by=by, at=at)


def composed(message: Message, language: str, *, at: datetime) -> Content | None:
    """What the message would say if it were sent now, in that language; None: it would not be sent.

    Without its secret: who sees the mail here could use a link that is meant for its recipient.
    """
    message.recipient.language = language  # of this copy in memory only
    with override(language):
        content = COMPOSE[message.kind](message, at)
    return content and content.without_secret()


@admin.register(Message)
class MessageAdmin(ReadOnlyDesk):
    """Mails are written by what causes them and sent by the worker; here one sees how their delivery stands."""

    list_display = ("about", "kind_told", "created_at", "state", "trouble", "verbs_here")
    list_display_links = ("about",)
    list_filter = ("delivery", "kind", ("recipient", admin.RelatedOnlyFieldListFilter))
    search_fields = ("recipient__full_name", "recipient__email")
    search_help_text = _("Name or address of the recipient.")
    sortable_by = ()
    when_empty = _("No mail yet. The sweep writes them every morning.")
    change_list_template = "admin/noticed_list.html"
    change_form_template = "admin/outbox/message/change_form.html"
    fields = ("recipient", "address", "kind_told", "state", "trouble", "created_at", "not_before", "number")
    verbs = (
        Verb(
            name="resend",
            label=_("Send again"),
            explanation=_(
                "The mail goes back into the outbox, with three tries. First see to what the mail server refused: the "
                "address, or the mailbox behind it."
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
        notice = self.notice(request)
        return super().changelist_view(request, {"notices": [notice] if notice else [], **(extra_context or {})})

    def notice(self, request: HttpRequest) -> dict[str, Any] | None:
        """What to know while the mail server does not work."""
        server = MailServer.objects.filter(down_since__isnull=False).first()
        if server is None:
            return None
        sentence = gettext("The mail server has not worked since %(at)s: mails wait, and none is lost.")
        said = gettext("It said: %(failure)s. It is tried again every minute.") % {"failure": server.last_failure}
        return {"text": sentence % {"at": _moment(server.down_since)}, "advice": said, "buttons": ()}

    # The list --------------------------------------------------------------------------------------------------------
    def prepare(self, rows: list[Message], request: HttpRequest) -> None:
        """Ask once what the mails of the page are about."""
        about = Alert.objects.filter(outbox_message__in=[row.pk for row in rows]).order_by().values("outbox_message")
        counted = about.annotate(alerts=Count("pk"), number=Min("shipment__shipment_number"))
        found = {row["outbox_message"]: row for row in counted} if rows else {}
        for message in rows:
            message.told = found.get(message.pk)
            message.buttons = self.buttons(request, message, back=request.get_full_path())

    @admin.display(description=_("recipient"))
    def about(self, message: Message) -> SafeString:
        return format_html('{} <span class="aside below">{}</span>', message.recipient, message.recipient.email)

    @admin.display(description=_("kind"))
    def kind_told(self, message: Message) -> SafeString | str:
        told, kind = getattr(message, "told", None), MessageKind(message.kind)
        if told is None:
            return kind.label
        if kind == MessageKind.SHIPMENT_ALERT:
            return format_html('{} <span class="aside below"><bdi>{}</bdi></span>', kind.label, told["number"])
        count = ngettext("%(count)d alert", "%(count)d alerts", told["alerts"]) % {"count": told["alerts"]}
        return format_html('{} <span class="aside below">{}</span>', kind.label, count)

    @admin.display(description=_("delivery"))
    def state(self, message: Message) -> SafeString:
        if message.sent_at:
            return format_html(
                '{} <span class="aside below short">{}</span>', pill(Delivery.SENT), _moment(message.sent_at)
            )
        return pill(Delivery(message.delivery))

    @admin.display(description=_("what the mail server said"))
    def trouble(self, message: Message) -> SafeString | str:
        if not message.last_refusal:
            return "–"
        refusals = gettext("refused %(count)d times") % {"count": message.refusals} if message.refusals else ""
        return format_html('<bdi>{}</bdi> <span class="aside below">{}</span>', message.last_refusal, refusals)

    @admin.display(description="")
    def verbs_here(self, message: Message) -> SafeString | str:
        links = ((one.url, one.label, message) for one in getattr(message, "buttons", ()))
        return format_html_join("", BUTTON, links) or NOTHING

    # The page, with the mail as it would be sent ---------------------------------------------------------------------
    @admin.display(description=_("address"))
    def address(self, message: Message) -> str:
        return message.recipient.email

    @admin.display(description=_("Message-ID"))
    def number(self, message: Message) -> str:
        return str(message.message_id)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, obj: Any = None, **kwargs: Any
    ) -> HttpResponse:
        if obj is not None:
            context["previews"] = self._previews(obj)
            context["mail_folder"] = settings.EMAIL_FILE_PATH if settings.MAIL_BECOMES_FILES else ""
        return super().render_change_form(request, context, *args, obj=obj, **kwargs)

    def _previews(self, message: Message) -> list[dict[str, Any]]:
        """English and Arabic, the recipient's own language first."""
        own, at = message.recipient.language, timezone.now()
        return [
            {
                "language": language,
                "name": language.label,
                "is_own": language == own,
                "is_rtl": language == Language.ARABIC,
                "content": composed(message, language, at=at),
                "url": reverse("admin:outbox_message_preview", args=[message.pk, language]),
            }
            for language in sorted(Language, key=lambda one: one != own)
        ]

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(xframe_options_sameorigin(self.preview))
        return [
            path("<int:pk>/preview/<slug:language>/", view, name="outbox_message_preview"),
            *super().get_urls(),
        ]

    def preview(self, request: HttpRequest, pk: int, language: str) -> HttpResponse:
        """The mail's HTML alone, without a script or a link that works."""
        message = self.get_queryset(request).filter(pk=pk).first()
        if not self.has_view_permission(request) or message is None or language not in Language.values:
            raise Http404
        content = composed(message, language, at=timezone.now())
        if content is None:
            raise Http404
        return HttpResponse(content.html, headers={"Content-Security-Policy": PREVIEW_POLICY})


def _moment(at: datetime) -> str:
    return date_format(timezone.localtime(at), "DATETIME_FORMAT")
