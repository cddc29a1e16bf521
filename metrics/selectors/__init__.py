"""Every indicator: each is one statement over shipments and steps, kept for five minutes.

`ask` puts a question for a person; the figures answer it with plain values (money as Decimal with three decimals, days
and percentages with one, None where there is nothing to reckon from), the `inputs` and the `definition` behind them.
"""

from metrics.selectors.clearing import clearance_time
from metrics.selectors.delays import delayed_steps, list_delayed_steps
from metrics.selectors.demurrage import costliest, demurrage_savings
from metrics.selectors.punctuality import on_time_rate
from metrics.selectors.question import Question, ask
from metrics.selectors.reading import together
from metrics.selectors.rows import FIGURES, with_rows
from metrics.selectors.trends import by_department, by_month, by_principal

__all__ = [
    "FIGURES",
    "Question",
    "ask",
    "by_department",
    "by_month",
    "by_principal",
    "clearance_time",
    "costliest",
    "delayed_steps",
    "demurrage_savings",
    "list_delayed_steps",
    "on_time_rate",
    "together",
    "with_rows",
]
