"""The trail: what happened to every record, and the seals that prove it. Written by the database alone (C21, C22)."""

from __future__ import annotations

import json
from typing import Any

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from audit.choices import Action, Channel


class Changes(models.JSONField):
    """JSON as text, as the triggers wrote it: it is read far less often than written, and building jsonb costs most."""

    def db_type(self, connection: Any) -> str:
        return "text"

    def get_db_prep_value(self, value: Any, connection: Any, prepared: bool = False) -> Any:
        return value if value is None or hasattr(value, "as_sql") else json.dumps(value, ensure_ascii=False)


class AuditEntry(models.Model):
    """One record was created, changed or deleted, or somebody was denied something.

    `changes` maps the names of columns to `[old, new]`; of a created or deleted record, to its values, without the
    empty ones. Decimals are text, dates and times ISO 8601, times in UTC. `user_name`, `user_role` and `on_behalf_of`
    say what was true then; no account's change touches them.
    """

    at = models.DateTimeField(_("at"))
    entity_type = models.CharField(_("kind of record"), max_length=50, db_collation="C")
    entity_id = models.CharField(_("record"), max_length=40, db_collation="C")
    action = models.CharField(_("action"), max_length=8, choices=Action.choices)
    changes = Changes(_("changes"))

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.DO_NOTHING,
        null=True,
        related_name="+",
        verbose_name=_("person"),
        db_constraint=False,
        db_index=False,
    )
    user_name = models.CharField(_("name"), max_length=120)
    user_role = models.CharField(_("role"), max_length=40)
    on_behalf_of = models.CharField(_("on behalf of"), max_length=120)
    channel = models.CharField(_("channel"), max_length=8, choices=Channel.choices)
    ip_address = models.GenericIPAddressField(_("IP address"), null=True)
    request_id = models.CharField(_("request"), max_length=64)
    import_batch = models.CharField(_("import"), max_length=64)
    reason = models.CharField(_("reason"), max_length=500)

    class Meta:
        ordering = ("-at", "-id")
        verbose_name = _("trail entry")
        verbose_name_plural = _("trail")
        default_permissions = ("view",)
        indexes = [
            # Without the kind, which would make it half as large again: few records of other kinds share the id.
            models.Index("entity_id", "at", "id", name="entry_entity"),
            models.Index("user", "at", "id", name="entry_user"),
            models.Index("at", "id", name="entry_at"),
            models.Index("at", name="entry_denied", condition=Q(action=Action.DENIED)),
        ]

    def __str__(self) -> str:
        return f"{self.entity_type} {self.entity_id} {self.action}"


class Seal(models.Model):
    """Proof of the entries in `ranges`: the root of their Merkle tree, chained to the seal before.

    `ranges` are pairs of ids, both included, in order; `highest_id` is the highest that this seal or one before covers.
    `seal_hash` covers everything else in the row. All hashes are SHA-256 in hex.
    """

    number = models.BigIntegerField(_("number"), primary_key=True)
    sealed_at = models.DateTimeField(_("sealed at"))
    ranges = models.JSONField(_("entries"))
    highest_id = models.BigIntegerField(_("up to entry"))
    entry_count = models.PositiveIntegerField(_("number of entries"))
    root = models.CharField(_("root"), max_length=64)
    previous_hash = models.CharField(_("hash of the seal before"), max_length=64)
    seal_hash = models.CharField(_("hash"), max_length=64)

    class Meta:
        ordering = ("-number",)
        verbose_name = _("seal")
        verbose_name_plural = _("seals")
        default_permissions = ("view",)
        indexes = [models.Index("highest_id", "number", name="seal_highest_id")]

    def __str__(self) -> str:
        return str(self.number)


class EvidencePack(models.Model):
    """An evidence pack that was made: the entry of this row proves the timeline that is in it.

    `entity_type` and `entity_id` say what it is about, as the trail does; `timeline` is the page's SHA-256 in hex.
    """

    entity_type = models.CharField(_("kind of record"), max_length=50)
    entity_id = models.CharField(_("record"), max_length=40)
    timeline = models.CharField(_("hash of the timeline"), max_length=64)
    made_at = models.DateTimeField(_("made at"))

    class Meta:
        verbose_name = _("evidence pack")
        verbose_name_plural = _("evidence packs")
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.entity_type} {self.entity_id}"


class History(HistoricalRecords):  # type: ignore[misc]
    """The history model of a tracked one, for reading: the trail's triggers write its rows.

    One index (record, date), no generated columns, no foreign keys to check.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(
            history_id_field=models.BigAutoField(),
            history_change_reason_field=models.CharField(_("reason"), max_length=500, null=True),
            history_user_id_field=models.BigIntegerField(null=True),
            **options,
        )

    def fields_included(self, model: type[models.Model]) -> list[models.Field[Any, Any]]:
        return [field for field in super().fields_included(model) if not field.generated]

    def copy_fields(self, model: type[models.Model]) -> dict[str, Any]:
        fields: dict[str, Any] = super().copy_fields(model)
        for field in fields.values():
            field.db_index = False
        return fields

    def get_meta_options(self, model: type[models.Model]) -> dict[str, Any]:
        index = models.Index(fields=[model._meta.pk.name, "history_date"], name=f"{model._meta.model_name}_history")
        return {**super().get_meta_options(model), "indexes": [index], "default_permissions": ("view",)}
