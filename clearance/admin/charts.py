"""Charts as data: what `static/clearance/charts.js` draws, the sentence that says it, and the table behind it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from django.utils.formats import number_format

Figure = float | Decimal | None


@dataclass(frozen=True, slots=True)
class Chart:
    """Some series of figures over the same labels; None is a gap.

    `sentence` is read to those who don't see the picture: it says what the picture shows. `head` names the labels.
    """

    name: str  # of its place in the page
    kind: Literal["bar", "stacked", "line"]
    title: str
    sentence: str
    head: str
    labels: Sequence[str]
    series: Mapping[str, Sequence[Figure]]
    decimals: int = 0

    @property
    def data_id(self) -> str:
        return f"{self.name}-data"

    @property
    def data(self) -> dict[str, Any]:
        """What the script draws; it writes figures as Python would."""
        return {
            "kind": self.kind,
            "decimals": self.decimals,
            "labels": self.labels,
            "series": [
                {"name": name, "values": [None if value is None else float(value) for value in values]}
                for name, values in self.series.items()
            ],
        }

    @property
    def rows(self) -> Iterator[tuple[str, list[str]]]:
        for label, *values in zip(self.labels, *self.series.values(), strict=True):
            yield label, [self._told(value) for value in values]

    def _told(self, value: Figure) -> str:
        return "–" if value is None else number_format(value, self.decimals, force_grouping=True)
