"""What every installation needs of people: the system roles, and that what has expired is forgotten."""

from datetime import datetime

from accounts import services as accounts
from clearance.schedules import Periodic


def load(*, at: datetime) -> None:
    accounts.load_system_roles()


SCHEDULE = (
    Periodic(name="Forget expired sign-ins", task="accounts.tasks.forget_expired_sign_ins", at="03:30"),
    Periodic(name="Forget kept answers", task="accounts.tasks.forget_kept_answers", every=3600),
)
