"""Evidence packs, of which the trail tells."""

from django.db import migrations, models

from audit.operations import Track


class Migration(migrations.Migration):

    dependencies = [
        ('audit', '0003_nothing_is_held_up_unseen'),
    ]

    operations = [
        migrations.CreateModel(
            name='EvidencePack',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('entity_type', models.CharField(max_length=50, verbose_name='kind of record')),
                ('entity_id', models.CharField(max_length=40, verbose_name='record')),
                ('timeline', models.CharField(max_length=64, verbose_name='hash of the timeline')),
                ('made_at', models.DateTimeField(verbose_name='made at')),
            ],
            options={
                'verbose_name': 'evidence pack',
                'verbose_name_plural': 'evidence packs',
                'default_permissions': (),
            },
        ),
        Track("audit.evidencepack", ["id", "entity_type", "entity_id", "timeline", "made_at"]),
    ]
