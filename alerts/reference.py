"""What every installation needs of alerts: the ladder, the calendar, and the sweep of every morning."""

from datetime import date, datetime

from alerts import imports
from alerts import services as alerts
from clearance.schedules import Periodic


def load(*, at: datetime) -> None:
    # In force for the past too: an imported shipment's ladder is explained from its ETA on.
    alerts.load_ladder(starts_on=date(2000, 1, 1))
    alerts.load_holidays(holidays=imports.holidays(imports.HOLIDAYS))


SCHEDULE = (Periodic(name="Sweep", task="alerts.tasks.sweep", at="08:00"),)
