"""What workflow brings to the first page: my day."""

from workflow.pages.my_day import my_steps

SECTIONS = (my_steps,)
