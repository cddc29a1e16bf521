"""Trails for tests: shipments that are changed and sealed, exported and checked by auditors."""

from __future__ import annotations

import importlib.util
import io
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

from django.conf import settings
from django.db import connection, transaction

from audit import services as audit
from audit.models import AuditEntry, Seal
from clearance.tests.recipes import NOON
from shipments.models import Shipment

SCRIPT = Path(settings.BASE_DIR) / "docs" / "verify_trail.py"


def change(shipment: Shipment, times: int = 1) -> None:
    """Leave so many entries."""
    for _ in range(times):
        number = shipment.version = shipment.version + 1
        Shipment.objects.filter(pk=shipment.pk).update(version=number, vessel=f"Vessel {number}", ata="2026-04-02")


def many(shipment: Shipment, number: int) -> None:
    """Leave so many entries, quickly."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(audit_record_denial('shipments.shipment', %s, '{}')) FROM generate_series(1, %s)",
            [str(shipment.pk), number],
        )


def roll_back(shipment: Shipment, times: int = 1) -> None:
    """Use up so many ids for nothing."""
    with transaction.atomic():
        change(shipment, times)
        transaction.set_rollback(True)
    shipment.version -= times


def grown(shipment: Shipment, *, seals: int = 12, entries: int = 20, apart: timedelta = timedelta(minutes=40)) -> None:
    """Let a trail grow, with an id here and there that nobody used; all of it is sealed."""
    for number in range(seals):
        change(shipment, entries - 1)
        roll_back(shipment)
        change(shipment)
        audit.seal(at=NOON + number * apart)


def later(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


def anchor() -> audit.Anchor:
    """The newest seal, as the mail tells it."""
    newest = Seal.objects.latest("number")
    return audit.Anchor(newest.number, newest.seal_hash)


def exported(**given: Any) -> bytes:
    return b"".join(audit.archive(AuditEntry.objects.all(), at=later(24), **given))


def stand_alone() -> ModuleType:
    """The script that auditors run, as a module."""
    spec = importlib.util.spec_from_file_location("verify_trail", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


verifier = stand_alone()


def what_is_broken(archive: bytes, anchors: str | None = None) -> str:
    """What the stand-alone script says of an export that it does not accept; nothing of a sound one."""
    try:
        verifier.verify(io.BytesIO(archive), anchors)
    except (verifier.Broken, *verifier.UNREADABLE) as broken:
        return str(broken) or type(broken).__name__
    return ""


def forge(number: int) -> None:
    """Slip in a copy of the oldest entry under another id, as somebody who may."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO audit_auditentry (id, {_OTHERS}) OVERRIDING SYSTEM VALUE"
            f" SELECT %s, {_OTHERS} FROM audit_auditentry ORDER BY id LIMIT 1",
            [number],
        )


_OTHERS = ", ".join(field.column for field in AuditEntry._meta.concrete_fields if field.column != "id")
