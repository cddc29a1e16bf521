"""Kinds of messages are brought by the apps; the tasks that deliver them are the outbox's own."""

from django.db import migrations, models

MOVED = {"alerts.tasks.deliver": "outbox.tasks.deliver", "alerts.tasks.deliver_texts": "outbox.tasks.deliver_texts"}


def rename_tasks(apps, schema_editor):
    """Point the schedule to where the tasks are now, whoever changed when they run."""
    tasks = apps.get_model("django_celery_beat", "PeriodicTask").objects.using(schema_editor.connection.alias)
    for before, now in MOVED.items():
        tasks.filter(task=before).update(task=now)


class Migration(migrations.Migration):

    dependencies = [
        ("django_celery_beat", "0018_improve_crontab_helptext"),
        ("outbox", "0004_texts_of_one_line"),
    ]

    operations = [
        migrations.AlterField(
            model_name="message",
            name="kind",
            field=models.CharField(max_length=20, verbose_name="kind"),
        ),
        migrations.RunPython(rename_tasks, migrations.RunPython.noop),
    ]
