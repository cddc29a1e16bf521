"""The back office for steps, procedures and responsibilities."""

from workflow.admin import procedures, responsibilities, steps

__all__ = ["procedures", "responsibilities", "steps"]
