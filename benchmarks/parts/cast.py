"""Who works with the scratch database: a small house, so that steps have people and shipments divisions."""

from __future__ import annotations

from accounts import services as accounts
from accounts.choices import WORKING_DEPARTMENTS, Department, Role
from accounts.models import Division, User
from benchmarks.tracker import DIVISIONS
from workflow import services as workflow

CLERK = "clerk@benchmarks.example"


def take_on(password: str) -> None:
    """Divisions; a clerk of the Business Unit; a PPR and an APR for each department, who are its fallback."""
    Division.objects.bulk_create(Division(code=f"D{n}", name=name) for n, name in enumerate(DIVISIONS))
    bu = Department.BUSINESS_UNIT
    accounts.take_on(email=CLERK, full_name="Clerk", department=bu, role=Role.PPR, password=password, by=None)
    pairs = {
        department.value: (_person(department, Role.PPR), _person(department, Role.APR))
        for department in WORKING_DEPARTMENTS
    }
    workflow.load_fallbacks(pairs=pairs)


def clerk() -> User:
    """The clerk of the Business Unit."""
    found: User = User.objects.get(email=CLERK)
    return found


def _person(department: Department, role: Role) -> User:
    email = f"{role}.{department.name}@benchmarks.example"
    return accounts.take_on(
        email=email, full_name=f"{role} {department.label}", department=department, role=role, by=None
    )
