"""What a verb leaves behind: snapshots of every business row, and refusals that must leave none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import models

from accounts.models import (
    Absence,
    ApiKey,
    BackupCode,
    Division,
    OldPassword,
    Override,
    RequiredSecondFactor,
    SecondFactor,
    SignIn,
    Ticket,
    User,
)
from alerts.models import Alert, EscalationRule, Holiday
from clearance.errors import DomainError
from outbox.models import Message, MutedMail, SmsTemplate, WantedText
from shipments.models import Shipment
from workflow.models import DepartmentFallback, Responsibility, TemplateStep, WorkflowStep, WorkflowTemplate

_KEPT = (
    Division,
    User,
    User.groups.through,
    User.divisions.through,
    Override,
    Group,
    Group.permissions.through,
    Absence,
    SignIn,
    OldPassword,
    Ticket,
    SecondFactor,
    BackupCode,
    RequiredSecondFactor,
    ApiKey,
    Shipment,
    WorkflowStep,
    WorkflowTemplate,
    TemplateStep,
    Responsibility,
    DepartmentFallback,
    EscalationRule,
    Holiday,
    Alert,
    Message,
    MutedMail,
    WantedText,
    SmsTemplate,
)


def everything() -> dict[str, list[dict[str, Any]]]:
    """Every column of every business row; counted failures of signing in are no business."""
    return {model._meta.label: _rows(model) for model in _KEPT}


def _rows(model: type[models.Model]) -> list[dict[str, Any]]:
    return list(model._default_manager.order_by("pk").values())


@contextmanager
def refused(error: type[DomainError], code: str) -> Iterator[pytest.ExceptionInfo[DomainError]]:
    """Expect exactly this refusal, with this code, and not one changed row."""
    before = everything()
    with pytest.raises(error) as caught:
        yield caught
    assert type(caught.value) is error
    assert caught.value.code == code
    assert str(caught.value)
    assert everything() == before
