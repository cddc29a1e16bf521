"""What every endpoint of the API asks for. A new one needs a row here; `make permissions` then rewrites the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accounts.choices import WORKING_DEPARTMENTS, Department, Role
from accounts.models import User
from alerts.models import Alert
from clearance.tests import recipes
from clearance.tests.matrix import Row, Rule
from workflow.models import WorkflowStep

READ_SHIPMENTS, READ_STEPS, READ_ALERTS = "shipments.view_shipment", "workflow.view_workflowstep", "alerts.view_alert"
READ_TRAIL, READ_METRICS = "audit.view_auditentry", "metrics.view_metric"
READ_PEOPLE, ADD_PEOPLE, CHANGE_PEOPLE = "accounts.view_user", "accounts.add_user", "accounts.change_user"
MANAGE_MACHINES = "accounts.manage_serviceaccount"


def leads_or_may_lead(person: User) -> bool:
    """Whether there are steps and people of their own department, or any will do."""
    return person.is_admin or person.department in WORKING_DEPARTMENTS


OWN_STEP = Rule("PPR, APR, their substitute, or head of the step's department")
OWN_DEPARTMENT = Rule(
    "head of the step's department, or an administrator", lambda person: person.is_admin, leads_or_may_lead
)
OWN_ALERT = Rule("recipient, or their substitute")
SEEN_ALERT = Rule(
    "recipient, their substitute, or who oversees", lambda person: person.has_oversight or person.is_admin
)
BUSINESS_UNIT = Rule("people of the Business Unit", lambda person: person.department == Department.BUSINESS_UNIT)
NO_MORE_THAN_ONESELF = "no more than one's own rights; administrators by administrators only"

Values = Mapping[str, Any]


# What the rows need --------------------------------------------------------------------------------------------------
def shipment(stage: Any, _person: User) -> Values:
    return {"id": stage.shipment.pk}


def cancelled(stage: Any, _person: User) -> Values:
    return {"id": stage.cancelled.pk}


def _department_of(person: User) -> str:
    return person.department if person.department in WORKING_DEPARTMENTS else Department.CUSTOMS


def _other_than(person: User) -> str:
    return Department.FINANCE if _department_of(person) == Department.CUSTOMS else Department.CUSTOMS


def own_step(stage: Any, person: User) -> Values:
    """A step of the person's department, that they are the PPR of."""
    step = stage.steps[_department_of(person)]
    WorkflowStep.objects.filter(pk=step.pk).update(ppr_user=person)
    return {"id": step.pk}


def others_step(stage: Any, person: User) -> Values:
    return {"id": stage.steps[_other_than(person)].pk}


def done_step(stage: Any, person: User) -> Values:
    return {"id": stage.done_steps[_department_of(person)].pk}


def others_done_step(stage: Any, person: User) -> Values:
    return {"id": stage.done_steps[_other_than(person)].pk}


def own_alert(stage: Any, person: User) -> Values:
    Alert.objects.filter(pk=stage.alert.pk).update(recipient_user=person)
    return {"id": stage.alert.pk}


def others_alert(stage: Any, person: User) -> Values:
    return {"id": stage.alert.pk}


def anybody(stage: Any, _person: User) -> Values:
    return {"id": stage.somebody.pk}


def override(stage: Any, _person: User) -> Values:
    return {"id": stage.somebody.pk, "override_id": stage.override.pk}


def role(stage: Any, _person: User) -> Values:
    return {"id": stage.role.pk}


def machine(stage: Any, _person: User) -> Values:
    return {"id": stage.machine.pk}


def machine_in_sight(stage: Any, person: User) -> Values:
    """A service account that sees no more than the person."""
    stage.machine.divisions.set(person.divisions.all())
    return {"id": stage.machine.pk}


def key(stage: Any, person: User) -> Values:
    stage.machine.divisions.set(person.divisions.all())
    return {"id": stage.machine.pk, "key_id": stage.key.pk}


# Rows ----------------------------------------------------------------------------------------------------------------
def api(method: str, path: str, body: Any = None, *, query: str = "", is_whole: bool = True, **row: Any) -> None:
    """Enter a row. `body` is what fits, or a function of the stage and the person that makes it.

    Without `is_whole`, the body doesn't fit, and whoever is told so was let in.
    """
    name = f"{method} {path}"
    assert name not in KNOCKS, name
    row.setdefault("given", shipment if "{id}" in path else lambda _stage, _person: {})
    ROWS.append(Row(name=name, **row))
    KNOCKS[name] = (body, query, is_whole)


ROWS: list[Row] = []
KNOCKS: dict[str, tuple[Any, str, bool]] = {}


def _new_shipment(stage: Any, _person: User) -> Values:
    return recipes.values(eta=stage.soon)


def _whole_shipment(stage: Any, _person: User) -> Values:
    return recipes.values(shipment_number=stage.shipment.shipment_number, eta=stage.shipment.eta)


def _newcomer(_stage: Any, person: User) -> Values:
    """Somebody who may do nothing, and sees no more than the person who takes them on."""
    divisions = list(person.divisions.values_list("code", flat=True))
    return {"email": "noor@example.com", "full_name": "Noor Example", "role": Role.READ_ONLY, "divisions": divisions}


def _new_machine(_stage: Any, person: User) -> Values:
    divisions = list(person.divisions.values_list("code", flat=True))
    return {"full_name": "Scales", "role": Role.READ_ONLY, "divisions": divisions}


def _new_key(stage: Any, _person: User) -> Values:
    return {"name": "Production", "scopes": list(stage.key.scopes), "expires_at": f"{stage.later}T12:00:00Z"}


# One's own sign-in, password and second factor
OF_PEOPLE = {"of_people": True}
for place in ("login", "refresh", "logout", "password/reset-request", "password/reset"):
    api("POST", f"/auth/{place}", {}, is_whole=False, is_open=True)
api("POST", "/auth/logout-all", **OF_PEOPLE)
api("GET", "/auth/sessions", **OF_PEOPLE)
api("POST", "/auth/password/change", {}, is_whole=False, **OF_PEOPLE)
api("POST", "/auth/email/send-verification", **OF_PEOPLE)
api("POST", "/auth/email/verify", {}, is_whole=False, **OF_PEOPLE)
api("POST", "/auth/2fa/setup", {}, is_whole=False, **OF_PEOPLE)
api("POST", "/auth/2fa/enable", {}, is_whole=False, **OF_PEOPLE)
api("POST", "/auth/2fa/disable", {}, is_whole=False, **OF_PEOPLE)
api("POST", "/auth/2fa/regenerate-backup-codes", {}, is_whole=False, **OF_PEOPLE)

# Oneself
api("GET", "/users/me")
api("PATCH", "/users/me", {"language": "ar"})
api("GET", "/preferences")
api("PATCH", "/preferences", {"mail": ["urgent"]})

# People, and what they may do
SEE = {"asks": (READ_PEOPLE,)}
TAKE_ON = {"asks": (READ_PEOPLE, ADD_PEOPLE), "note": NO_MORE_THAN_ONESELF}
LOOK_AFTER = {"asks": (READ_PEOPLE, CHANGE_PEOPLE), "given": anybody, "note": NO_MORE_THAN_ONESELF}
api("GET", "/users", **SEE)
api("POST", "/users", _newcomer, **TAKE_ON)
api("POST", "/users/invite", _newcomer, **TAKE_ON)
api("GET", "/users/{id}", **SEE, given=anybody)
api("PATCH", "/users/{id}", {"phone": "+96891234567"}, **LOOK_AFTER)
api("DELETE", "/users/{id}", **LOOK_AFTER)
api("POST", "/users/{id}/unlock", **LOOK_AFTER)
api("GET", "/users/{id}/overrides", **SEE, given=anybody)
api(
    "POST", "/users/{id}/overrides",
    {"permission": "shipments:cancel", "is_granted": False, "reason": "On probation"}, **LOOK_AFTER,
)  # fmt: skip
api("DELETE", "/users/{id}/overrides/{override_id}", **LOOK_AFTER | {"given": override})

# Roles
MAKE_ROLES = {"asks": (READ_PEOPLE, CHANGE_PEOPLE), "note": "a further role; no more than one's own rights"}
SOME = {"permissions": ["users:view"]}
api("GET", "/permissions", **SEE)
api("GET", "/roles", **SEE)
api("POST", "/roles", {"name": "Weekend", **SOME}, **MAKE_ROLES)
api("GET", "/roles/{id}", **SEE, given=role)
api("PUT", "/roles/{id}", {"name": "Weekend", **SOME}, **MAKE_ROLES, given=role)
api("DELETE", "/roles/{id}", **MAKE_ROLES, given=role)
api("POST", "/roles/{id}/permissions", SOME, **MAKE_ROLES, given=role)
api("DELETE", "/roles/{id}/permissions", SOME, **MAKE_ROLES, given=role)

# Service accounts
MANAGE = {"asks": (MANAGE_MACHINES,)}
GIVE = {"asks": (MANAGE_MACHINES,), "note": "no more than one's own rights"}
api("GET", "/service-accounts", **MANAGE)
api("POST", "/service-accounts", _new_machine, **GIVE)
api("GET", "/service-accounts/{id}", **MANAGE, given=machine)
api("PATCH", "/service-accounts/{id}", {"full_name": "Scales"}, **GIVE, given=machine)
api("DELETE", "/service-accounts/{id}", **MANAGE, given=machine)
api("GET", "/service-accounts/{id}/keys", **MANAGE, given=machine)
api("POST", "/service-accounts/{id}/keys", _new_key, **GIVE, given=machine_in_sight, gives=READ_SHIPMENTS)
api("POST", "/service-accounts/{id}/keys/{key_id}/rotate", {"grace_hours": 24}, **GIVE, given=key, gives=READ_SHIPMENTS)
api("DELETE", "/service-accounts/{id}/keys/{key_id}", **MANAGE, given=key)

# Shipments
READ = {"asks": (READ_SHIPMENTS,)}


def may(*permissions: str) -> dict[str, Any]:
    return {"asks": (READ_SHIPMENTS, *permissions), "of_shipment": True}


api("GET", "/shipments", **READ, note="lists those in sight")
api("POST", "/shipments", _new_shipment, asks=(READ_SHIPMENTS, "shipments.add_shipment"), note="into an own division")
api("GET", "/shipments/{id}", **may())
api("PUT", "/shipments/{id}", _whole_shipment, **may("shipments.change_shipment"))
api("PATCH", "/shipments/{id}", {"vessel": "Sea Star"}, **may("shipments.change_shipment"))
api("DELETE", "/shipments/{id}", {}, **may("shipments.delete_shipment"))
api(
    "PATCH",
    "/shipments/{id}/eta",
    lambda stage, _person: {"eta": stage.later},
    **may("shipments.change_eta"),
    only=BUSINESS_UNIT,
)
api("POST", "/shipments/{id}/cancel", {"reason": "Withdrawn"}, **may("shipments.cancel_shipment"))
api("POST", "/shipments/{id}/restore", {}, **may("shipments.restore_shipment"), given=cancelled)
api(
    "POST", "/shipments/import", {"rows": [{"shipment_number": "A-1", "eta": "never"}]},
    asks=(READ_SHIPMENTS, "shipments.import_shipment"), note="each row for itself, of an own division",
)  # fmt: skip
api("GET", "/shipments/{id}/workflow", asks=(READ_STEPS,), of_shipment=True)

# Steps
STEP = {"of_shipment": True, "given": own_step}
api("GET", "/workflow-steps", asks=(READ_STEPS,), note="Finance, C&C and Stores list their own")
api("GET", "/workflow-steps/my-tasks", asks=(READ_STEPS,), note="lists one's own")
api("GET", "/workflow-steps/{id}", asks=(READ_STEPS,), **STEP)
api(
    "PATCH", "/workflow-steps/{id}/complete", lambda stage, _person: {"actual_date": str(stage.today)},
    asks=(READ_STEPS, "workflow.complete_workflowstep"), rule=OWN_STEP, others=others_step, **STEP,
)  # fmt: skip
api(
    "PATCH", "/workflow-steps/{id}/reopen", {"reason": "Too early"},
    asks=(READ_STEPS, "workflow.reopen_workflowstep"), rule=OWN_DEPARTMENT, of_shipment=True,
    given=done_step, others=others_done_step,
)  # fmt: skip

# Alerts
ALERT = {"of_shipment": True, "given": own_alert, "others": others_alert}
api("GET", "/alerts", asks=(READ_ALERTS,), note="lists one's own; who oversees sees all")
api("GET", "/alerts/{id}", asks=(READ_ALERTS,), rule=SEEN_ALERT, **ALERT)
api("PATCH", "/alerts/{id}/acknowledge", {}, asks=(READ_ALERTS, "alerts.acknowledge_alert"), rule=OWN_ALERT, **ALERT)

# Figures
for figure in ("clearance-time", "on-time-rate", "demurrage-savings", "delayed-steps"):
    api("GET", f"/metrics/{figure}", asks=(READ_METRICS,), note="of what is in sight")

# The trail
api("GET", "/audit-logs", asks=(READ_TRAIL,))
api("GET", "/audit-logs/export", query="format=csv", asks=(READ_TRAIL,))
api("GET", "/audit-logs/shipment/{id}", asks=(READ_TRAIL,))
api("GET", "/audit-logs/shipment/{id}/evidence", asks=(READ_TRAIL,))

# The process, and the description of the API
for place in ("health", "health/live", "health/ready", "health/db", "health/redis", "openapi.json", "docs", "redoc"):
    api("GET", f"/{place}", is_open=True)
