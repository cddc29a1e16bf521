"""What every installation needs of the outbox: its texts, and somebody who looks at it."""

from datetime import datetime

from clearance.schedules import Periodic
from outbox import services as outbox


def load(*, at: datetime) -> None:
    outbox.load_texts()


# What no worker took in a minute is forgotten: the next look does its work too.
SCHEDULE = (
    Periodic(name="Deliver mail", task="outbox.tasks.deliver", every=15, expires=60),
    Periodic(name="Deliver text messages", task="outbox.tasks.deliver_texts", every=15, expires=60),
)
