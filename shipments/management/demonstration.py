"""What the demonstration shows: a cast of people and a tracker of shipments in every state, generated around a day.

Everybody and everything in it is made up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from accounts.choices import Department, Role
from clearance import sheets

DIVISIONS = (
    ("TBL", "Tyres, batteries and lubricants"),
    ("LV", "Light vehicles"),
    ("HV", "Heavy vehicles"),
    ("PRT", "Parts"),
)


@dataclass(frozen=True, slots=True)
class Member:
    name: str
    full_name: str
    department: str
    role: str
    language: str = "en"

    @property
    def email(self) -> str:
        return f"{self.name}@clearance.example"


CAST = (
    Member("bu.ppr", "Salma Al Habsi", Department.BUSINESS_UNIT, Role.PPR),
    Member("bu.apr", "Tariq Al Maamari", Department.BUSINESS_UNIT, Role.APR),
    Member("bu.head", "Nasra Al Kindi", Department.BUSINESS_UNIT, Role.MANAGER),
    Member("finance.ppr", "Yusuf Al Balushi", Department.FINANCE, Role.PPR),
    Member("finance.apr", "Priya Nair", Department.FINANCE, Role.APR),
    Member("finance.head", "Hilal Al Rawahi", Department.FINANCE, Role.MANAGER),
    Member("cc.ppr", "Muna Al Farsi", Department.CUSTOMS, Role.PPR),
    Member("cc.apr", "Joseph Fernandes", Department.CUSTOMS, Role.APR),
    Member("cc.head", "Said Al Hinai", Department.CUSTOMS, Role.MANAGER),
    Member("stores.ppr", "Khalid Al Zadjali", Department.STORES, Role.PPR),
    Member("stores.apr", "Anita Thomas", Department.STORES, Role.APR),
    Member("stores.head", "Badriya Al Siyabi", Department.STORES, Role.MANAGER),
    Member("ia", "Ibrahim Al Lawati", Department.INTERNAL_AUDIT, Role.READ_ONLY),
    Member("management", "Zainab Al Busaidi", Department.MANAGEMENT, Role.READ_ONLY, language="ar"),
    Member("admin", "Omar Al Ghafri", "", Role.ADMIN),
)

# Per division: principals with brand, port of loading, days at sea, unit, and how much one container holds.
_TRADE = {
    "Tyres, batteries and lubricants": (
        ("Zephyrine Rubber Works", "Zephyrine", "Qingdao", 19, "tyres", 1100),
        ("Voltara Cell Company", "Voltara", "Busan", 21, "units", 1800),
        ("Lubriona Oils", "Lubriona", "Antwerp", 24, "units", 900),
    ),
    "Light vehicles": (
        ("Kaizuka Motor", "Kaizuka", "Yokohama", 22, "vehicles", 3),
        ("Amberlyn Cars", "Amberlyn", "Bremerhaven", 26, "vehicles", 3),
    ),
    "Heavy vehicles": (
        ("Tarkhan Trucks", "Tarkhan", "Gothenburg", 27, "vehicles", 1),
        ("Ironvale Machinery", "Ironvale", "Santos", 25, "vehicles", 1),
    ),
    "Parts": (
        ("Pinion & Wren", "Pinwren", "Felixstowe", 23, "parts", 4200),
        ("Suvarna Auto Components", "Suvarna", "Nhava Sheva", 6, "parts", 5200),
    ),
}
_VESSELS = ("Sea Marigold", "Coral Heron", "Jabal Shams Star", "Northern Lapwing", "Pearl Dhow", "Gulf Kestrel")
_BANKS = ("Majan Example Bank", "Example Bank of Muscat Bay", "Frankincense Trade Bank")
_PORTS = ("Sohar", "Sohar", "Salalah", "Duqm")

HEADINGS = (
    "Shipment #", "Division", "Principal", "Brand", "Supplier Inv. No.", "Supplier Inv. Date", "LC No.",
    "LC Issuing Bank", "Inv Amount (OMR)", "BL No.", "Vessel", "POL", "POD", "Sail Date", "No. of Containers",
    "Qty", "Unit", "E.T.A",
)  # fmt: skip

Step = tuple[str, str, int, bool]
"""Number, name, days from ETA, and whether it is optional."""


def tracker_workbook(*, around: date, as_of: date, steps: Sequence[Step]) -> bytes:
    """Write a tracker as a department keeps it: a title, headings in its own words, one column per step.

    The same shipments, arranged around one day, as the tracker showed them on that day or on one before.
    """
    headings = [*HEADINGS, *(f"{number} {name}" for number, name, _, _ in steps)]
    rows = [[f"Import tracker, state of {as_of:%d %B %Y}"], [], headings, *_shipments(around, as_of, steps)]
    dates = [6, 14, 18, *range(len(HEADINGS) + 1, len(headings) + 1)]
    widths = dict.fromkeys(range(1, len(headings) + 1), 16.0)
    return sheets.write(sheets.Page("Tracker", rows, heading_row=3, widths=widths, dates=dates))


def _shipments(around: date, as_of: date, steps: Sequence[Step]) -> Iterator[list[object]]:
    """Sixty shipments: expected, arrived, on each rung of the ladder, in demurrage, cleared in time, cleared late."""
    random = Random(34)  # noqa: S311 - a demonstration, not a secret
    ahead = [random.randint(2, 35) for _ in range(22)]
    arrived = [0, 0, 1, 1, 2, 2, 3, 3]
    ladder = [4, 4, 5, 5, 6, 6, 7, 7]
    in_demurrage = [8, 9, 10, 12, 15, 21]
    cleared = sorted(random.randint(14, 170) for _ in range(16))
    for number, days in enumerate([*(-days for days in ahead), *arrived, *ladder, *in_demurrage, *cleared], 1):
        eta = around - timedelta(days=days)
        yield _shipment(number, eta, around, as_of, steps, random=random, is_cleared=days in cleared and number > 44)


def _shipment(
    number: int, eta: date, around: date, as_of: date, steps: Sequence[Step], *, random: Random, is_cleared: bool
) -> list[object]:
    division = DIVISIONS[number % len(DIVISIONS)][1]
    principal, brand, port, days_at_sea, unit, per_container = random.choice(_TRADE[division])
    containers = random.randint(1, 6)
    invoice_on = eta - timedelta(days=days_at_sea + random.randint(12, 25))
    sailed_on = eta - timedelta(days=days_at_sea)
    # Every draw is made whatever the day, so that the same shipment looks the same on another.
    has_sailed = sailed_on <= as_of
    is_lc_open = eta - timedelta(days=16) <= as_of
    lc_number, bank = f"LC{random.randint(100000, 999999)}", random.choice(_BANKS)
    bl_number, vessel = f"BL{random.randint(1_000_000, 9_999_999)}", random.choice(_VESSELS)
    fields = [
        f"{brand[:3].upper()}-{eta.year % 100}-{number:03d}",
        division,
        principal,
        brand,
        f"INV/{invoice_on:%y%m}/{random.randint(100, 999)}",
        invoice_on,
        lc_number if is_lc_open else None,
        bank if is_lc_open else None,
        f"OMR {containers * random.randint(9_000, 62_000) + random.randint(0, 999) / 1000:,.3f}",
        bl_number if has_sailed else None,
        vessel if has_sailed else None,
        port,
        random.choice(_PORTS),
        sailed_on if has_sailed else None,
        containers if random.random() > 0.08 else None,
        containers * per_container,
        unit,
        eta,
    ]
    return [*fields, *_dates(eta, around, as_of, steps, random, is_cleared=is_cleared, has_sailed=has_sailed)]


def _dates(
    eta: date, around: date, as_of: date, steps: Sequence[Step], random: Random, *, is_cleared: bool, has_sailed: bool
) -> Iterator[date | None]:
    """The actual dates of a shipment whose clerks are punctual, a little late, or stuck somewhere."""
    lag = random.choice([0, 0, 0, 1, 3, 5]) if is_cleared else random.choice([0, 0, 1, 2, 4])
    days = (around - eta).days
    # From day 4 on, what the ladder warns of: duty, approval or delivery order still open.
    stuck_at = random.choice(["10.0", "11.0", "13.0"]) if days >= 4 and not is_cleared else None
    is_stuck = False
    for number, _name, offset, is_optional in steps:
        is_stuck = is_stuck or number == stuck_at
        planned = eta + timedelta(days=offset)
        on = planned + timedelta(days=max(lag + random.choice([-1, 0, 0]), -1 if offset < 0 else 0))
        is_open = is_stuck or on > as_of or (number in ("2.1", "2.2") and not has_sailed)
        if is_cleared:
            is_open = is_optional and random.random() < 0.5
        yield None if is_open else min(on, as_of)
