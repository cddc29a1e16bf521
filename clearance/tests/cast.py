"""The people that tests act with: one of each kind, in four departments, Internal Audit and Management.

`assemble()` writes them with a handful of statements: the cast is made anew for every test that asks for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from django.contrib.auth.hashers import Argon2PasswordHasher, make_password
from django.contrib.auth.models import Group

from accounts import rules
from accounts.choices import Department, Role
from accounts.models import Division, User
from workflow.models import DepartmentFallback

PASSWORD = "Correct-horse-battery-9"  # everybody's


class QuickArgon2(Argon2PasswordHasher):
    """The product's, without what makes a guess costly: the tests hash and compare a thousand times."""

    time_cost, memory_cost, parallelism = 1, 8, 1


_BUSINESS_UNIT, _FINANCE, _CUSTOMS, _STORES, _AUDIT, _MANAGEMENT = Department


@dataclass(frozen=True, slots=True)
class Cast:
    """Everybody by part. Only `stranger` (vehicles) and `divisional_clerk` (tyres) are limited to a division."""

    tyres: Division
    vehicles: Division

    bu_clerk: User
    bu_alternate: User
    bu_head: User
    finance_clerk: User
    finance_alternate: User
    finance_head: User
    cc_clerk: User
    cc_alternate: User
    cc_head: User
    storekeeper: User
    stores_head: User
    auditor: User
    manager: User
    administrator: User
    stranger: User
    divisional_clerk: User


_PARTS = {
    "bu_clerk": ("Badriya Clerk", _BUSINESS_UNIT, Role.PPR),
    "bu_alternate": ("Basim Alternate", _BUSINESS_UNIT, Role.APR),
    "bu_head": ("Bushra Head", _BUSINESS_UNIT, Role.MANAGER),
    "finance_clerk": ("Faisal Clerk", _FINANCE, Role.PPR),
    "finance_alternate": ("Farah Alternate", _FINANCE, Role.APR),
    "finance_head": ("Fatma Head", _FINANCE, Role.MANAGER),
    "cc_clerk": ("Khalid Clerk", _CUSTOMS, Role.PPR),
    "cc_alternate": ("Kawthar Alternate", _CUSTOMS, Role.APR),
    "cc_head": ("Kamila Head", _CUSTOMS, Role.MANAGER),
    "storekeeper": ("Salim Storekeeper", _STORES, Role.PPR),
    "stores_head": ("Suad Head", _STORES, Role.MANAGER),
    "auditor": ("Idris Auditor", _AUDIT, Role.READ_ONLY),
    "manager": ("Maryam Manager", _MANAGEMENT, Role.MANAGER),
    "administrator": ("Adil Administrator", "", Role.ADMIN),
    "stranger": ("Zahra Stranger", _BUSINESS_UNIT, Role.PPR),
    "divisional_clerk": ("Dalal Divisional", _BUSINESS_UNIT, Role.PPR),
}

# Who is responsible where no row of the matrix names anybody; Stores has no alternate.
_FALLBACKS = {
    _BUSINESS_UNIT: ("bu_clerk", "bu_alternate"),
    _FINANCE: ("finance_clerk", "finance_alternate"),
    _CUSTOMS: ("cc_clerk", "cc_alternate"),
    _STORES: ("storekeeper", None),
}


@cache
def _password_hash() -> str:
    return make_password(PASSWORD)


def assemble() -> Cast:
    """Write the divisions, the people with their system roles, and the fallback of every department."""
    tyres, vehicles = Division.objects.bulk_create(
        [Division(code="TBL", name="Tyres, batteries and lubricants"), Division(code="LV", name="Light vehicles")]
    )
    people = User.objects.bulk_create(
        User(
            email=f"{part}@example.com",
            full_name=full_name,
            department=department,
            role=role,
            password=_password_hash(),
        )
        for part, (full_name, department, role) in _PARTS.items()
    )
    cast = Cast(tyres, vehicles, **dict(zip(_PARTS, people, strict=True)))
    groups = dict(Group.objects.values_list("name", "pk"))
    User.groups.through.objects.bulk_create(
        User.groups.through(user_id=user.pk, group_id=groups[rules.system_role_name(user.department, user.role)])
        for user in people
    )
    User.divisions.through.objects.bulk_create(
        User.divisions.through(user_id=user.pk, division_id=division.pk)
        for user, division in ((cast.stranger, vehicles), (cast.divisional_clerk, tyres))
    )
    DepartmentFallback.objects.bulk_create(
        DepartmentFallback(department=department, ppr=getattr(cast, ppr), apr=getattr(cast, apr) if apr else None)
        for department, (ppr, apr) in _FALLBACKS.items()
    )
    return cast
