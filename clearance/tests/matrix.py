"""Who may do what, as one table: what each door asks for, the kinds of people, and what follows of the two.

A row says what its door asks: a permission, and a rule about the record in words. What each kind of person may do is
reckoned from that and from the system roles; `test_permissions.py` knocks at every door as everybody and compares,
and the page docs/permissions.md shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from accounts import rules
from accounts.choices import Department, Role
from accounts.models import User

MAY, OWN, NOT = "✓", "own", "–"


# People --------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of person: a system role, or somebody who has none to speak of."""

    name: str
    department: str = ""
    role: str = Role.READ_ONLY
    is_signed_in: bool = True
    is_active: bool = True
    is_elsewhere: bool = False  # sees one division only, and it isn't that of the record

    @property
    def person(self) -> User:
        """Somebody of that kind, on paper."""
        return User(department=self.department, role=self.role)

    @property
    def permissions(self) -> frozenset[str]:
        return rules.permissions_of(self.department, self.role) if self.is_signed_in and self.is_active else frozenset()


def _roles() -> Iterator[Kind]:
    yield Kind("Administrator", role=Role.ADMIN)
    for department in Department.values:
        for role in (Role.PPR, Role.APR, Role.MANAGER, Role.READ_ONLY):
            yield Kind(rules.system_role_name(department, role), department, role)


ELSEWHERE = Kind("BusinessUnit PPR, record of another division", "BusinessUnit", Role.PPR, is_elsewhere=True)
NOBODY_YET = Kind("without a department")
GONE = Kind("deactivated", role=Role.ADMIN, is_active=False)
STRANGER = Kind("not signed in", is_signed_in=False)
KINDS = (*_roles(), ELSEWHERE, NOBODY_YET, GONE, STRANGER)


# Rows ----------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Rule:
    """What a door asks of the record besides the permission, in words; whom it doesn't limit, and who has any."""

    words: str
    frees: Callable[[User], bool] = lambda _person: False
    has_any: Callable[[User], bool] = lambda _person: True


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One door: what it asks, and how to knock.

    `given` makes what is needed (from a stage, for a person) and returns what fills the address; where there is a
    rule, `others` does so with what isn't the person's own. `of_shipment`: hidden from people of another division.
    `only` is a rule about the person, whatever their permissions; `of_people`: closed to service accounts. `instead`
    is a permission that is as good as what the door asks; `gives` is one that the knock gives away, and that somebody
    who is no administrator must have.
    """

    name: str
    asks: Sequence[str] = ()
    instead: str = ""
    gives: str = ""
    rule: Rule | None = None
    only: Rule | None = None
    is_open: bool = False
    of_shipment: bool = False
    of_people: bool = False
    given: Callable[[Any, User], Mapping[str, Any]] = lambda _stage, _person: {}
    others: Callable[[Any, User], Mapping[str, Any]] | None = None
    note: str = ""

    def says(self, kind: Kind, permissions: Set[str] | None = None) -> str:
        """What a kind of person may do here, as declared; with other permissions than their role brings, if given."""
        if self.is_open:
            return MAY
        held = kind.permissions if permissions is None else permissions
        if not (kind.is_signed_in and kind.is_active and self.suffices(held)):
            return NOT
        if self.gives and not (kind.person.is_admin or self.gives in held):
            return NOT
        if (self.of_shipment and kind.is_elsewhere) or not self.lets_in(kind.person):
            return NOT
        return OWN if self.rule and not self.rule.frees(kind.person) else MAY

    def suffices(self, permissions: Set[str]) -> bool:
        """Whether the door asks for no more than these permissions."""
        return permissions.issuperset(self.asks) or self.instead in permissions

    def lets_in(self, person: User) -> bool:
        """Whether the door is for somebody like that at all, whatever their permissions."""
        return not (self.only and not self.only.frees(person)) and not (self.rule and not self.rule.has_any(person))

    @property
    def needs(self) -> str:
        """What is asked for, as the API names it."""
        if self.is_open:
            return "nothing"
        named = ", ".join(f"`{rules.api_name(one)}`" for one in dict.fromkeys(self.asks)) or "to be signed in"
        return f"{named} or `{rules.api_name(self.instead)}`" if self.instead else named

    @property
    def besides(self) -> str:
        told = [rule.words for rule in (self.rule, self.only) if rule]
        told += ["own division"] if self.of_shipment else []
        told += ["no service account"] if self.of_people else []
        return "; ".join([*told, *([self.note] if self.note else [])])


# The page ------------------------------------------------------------------------------------------------------------
PREFACE = f"""# Who may do what

Written by `make permissions` from the rows of `clearance/tests/matrix_of_the_*.py` and the system roles of
`accounts/rules.py`. `clearance/tests/test_permissions.py` knocks at every door as every kind of person and fails where
this page is wrong, or where a door has no row.

{MAY} they may; {OWN}: only with what the column *and* says is theirs; {NOT} refused (401, 403, or 404 where they may
not know that it exists). People see the shipments of their divisions, and of every division if they have none of their
own. Roles that an administrator makes, and permissions given or denied to one person, change who has what stands in the
column *asks*, and nothing about the column *and*. A service account may what its role may, as far as the scopes of its
API key go, at the API alone; where the column *and* says so, not even that. `/metrics` asks for one of the configured
addresses, whoever comes.
"""


def page(parts: Mapping[str, Sequence[Row]]) -> str:
    """The page: one table for each part, with one column for all kinds of people who may do exactly the same."""
    columns = alike([row for rows in parts.values() for row in rows])
    lines = [PREFACE, "The columns:", ""]
    lines += [f"{number}. {'; '.join(_told(kinds))}" for number, kinds in enumerate(columns, 1)]
    for title, rows in parts.items():
        numbers = [str(number) for number in range(1, len(columns) + 1)]
        lines += ["", f"## {title}", "", f"| | asks | and | {' | '.join(numbers)} |"]
        lines += ["|" + "---|" * 3 + ":-:|" * len(columns)]
        for row in rows:
            cells = " | ".join(row.says(kinds[0]) for kinds in columns)
            lines.append(f"| {row.name} | {row.needs} | {row.besides} | {cells} |")
    return "\n".join([*lines, ""])


def alike(rows: Sequence[Row]) -> list[list[Kind]]:
    """The kinds of people, those together who may do exactly the same."""
    found: dict[tuple[str, ...], list[Kind]] = {}
    for kind in KINDS:
        found.setdefault(tuple(row.says(kind) for row in rows), []).append(kind)
    return list(found.values())


def _told(kinds: Iterable[Kind]) -> Iterator[str]:
    """The kinds by name, those of one department together: `C&C PPR, APR`."""
    for department, members in groupby(kinds, key=lambda kind: "" if kind.is_elsewhere else kind.department):
        names = [kind.name for kind in members]
        if department:
            names = [names[0], *(name.removeprefix(f"{department} ") for name in names[1:])]
        yield ", ".join(names)
