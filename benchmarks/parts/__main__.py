"""`python -m benchmarks.parts <module> <function> [arguments]`: run one part, print its figures and its peak memory."""

from __future__ import annotations

import json
import os
import resource
import sys
from importlib import import_module

import django

WITHOUT_DJANGO = {"load", "reading"}


def main(module: str, function: str, *arguments: str) -> None:
    if module not in WITHOUT_DJANGO:
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clearance.settings")
        django.setup()
    figures = getattr(import_module(f"benchmarks.parts.{module}"), function)(*arguments)
    peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({**(figures or {}), "peak_mb": peak_kb / 1024}))


if __name__ == "__main__":
    main(*sys.argv[1:])
