"""What our apps bring: the modules of an agreed name that some of them have. Nobody registers; readers ask."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from types import ModuleType

from django.apps import apps
from django.conf import settings
from django.utils.module_loading import module_has_submodule


@cache
def rooms(name: str) -> tuple[ModuleType, ...]:
    """The modules of this name in our apps, from the ground up: in the order of INSTALLED_APPS."""
    ours = (app for app in apps.get_app_configs() if app.name in settings.OUR_APPS)
    return tuple(
        import_module(f"{app.name}.{name}") for app in ours if app.module and module_has_submodule(app.module, name)
    )
