"""Verbs of the workflow: load templates, plan and re-date steps, complete and reopen them, assign people."""

from workflow.services.plan import (
    DateChange,
    Plan,
    follow_fields,
    plan_steps,
    record_dates,
    replaced_dates,
    reschedule,
    settle,
)
from workflow.services.responsibilities import apply_responsibilities, load_fallbacks, remove_duty, save_duty
from workflow.services.steps import Completion, complete_step, mark_not_required, reopen_step
from workflow.services.templates import StepFacts, TemplateFacts, load_template, use_template

__all__ = [
    "Completion",
    "DateChange",
    "Plan",
    "StepFacts",
    "TemplateFacts",
    "apply_responsibilities",
    "complete_step",
    "follow_fields",
    "load_fallbacks",
    "load_template",
    "mark_not_required",
    "plan_steps",
    "record_dates",
    "remove_duty",
    "reopen_step",
    "replaced_dates",
    "reschedule",
    "save_duty",
    "settle",
    "use_template",
]
