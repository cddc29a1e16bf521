"""The languages that Clearance speaks."""

from django.db.models import TextChoices


class Language(TextChoices):
    """Languages of pages and messages."""

    ENGLISH = "en", "English"
    ARABIC = "ar", "العربية"
