"""The application as production serves it, but for its patience with clients: a test needn't wait so long."""

from clearance import web
from clearance.wsgi import application

web.PATIENCE |= {"head": 1, "body": 2, "nothing": 3}

__all__ = ["application"]
