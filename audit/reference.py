"""When the trail is sealed, and told of."""

from clearance.schedules import Periodic

SCHEDULE = (
    Periodic(name="Seal the trail", task="audit.tasks.seal", every=60, expires=60),
    Periodic(name="Mail the newest seal", task="audit.tasks.mail_anchor", at="07:00"),
)
