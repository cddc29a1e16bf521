"""What gunicorn serves here: the product as it is, with the addresses of `list_urls`."""

from django.conf import settings

from clearance.wsgi import application

settings.ROOT_URLCONF = "benchmarks.parts.list_urls"

__all__ = ["application"]
