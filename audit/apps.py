from django.apps import AppConfig
from django.core import checks
from django.utils.translation import gettext_lazy as _


class AuditConfig(AppConfig):
    name = "audit"
    verbose_name = _("Audit")

    def ready(self) -> None:
        from audit.checks import trails_fit  # noqa: PLC0415 - needs every app to be there

        checks.register(trails_fit)
