"""Scheduled work about people."""

from celery import shared_task
from django.utils import timezone

from accounts import services as accounts


@shared_task
def forget_expired_sign_ins() -> int:
    """Delete sign-ins and sessions that can't be used any more; return how many."""
    return accounts.forget_expired_sign_ins(at=timezone.now())


@shared_task
def forget_kept_answers() -> int:
    """Delete the answers of requests with an Idempotency-Key that are older than a day; return how many."""
    return accounts.forget_kept_answers(at=timezone.now())
