"""Further roles, overrides in the place of Django's permissions of a user, invitations."""

import django.contrib.auth.models
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from audit.operations import Track


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0003_sign_in_security'),
        ('auth', '0012_alter_user_first_name_max_length'),
    ]

    operations = [
        migrations.CreateModel(
            name='RoleGroup',
            fields=[
            ],
            options={
                'verbose_name': 'role',
                'verbose_name_plural': 'roles',
                'proxy': True,
                'default_permissions': (),
                'indexes': [],
                'constraints': [],
            },
            bases=('auth.group',),
            managers=[
                ('objects', django.contrib.auth.models.GroupManager()),
            ],
        ),
        migrations.RemoveField(
            model_name='user',
            name='user_permissions',
        ),
        # Its triggers went with the table.
        migrations.RunSQL("DROP FUNCTION IF EXISTS audit_of_accounts_user_user_permissions()", migrations.RunSQL.noop),
        migrations.AlterField(
            model_name='ticket',
            name='purpose',
            field=models.CharField(choices=[('reset', 'Set a new password'), ('verify', 'Verify the e-mail address'), ('invite', 'Invitation to Clearance')], max_length=12, verbose_name='purpose'),
        ),
        migrations.CreateModel(
            name='Override',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('is_granted', models.BooleanField(verbose_name='granted')),
                ('reason', models.CharField(max_length=255, verbose_name='reason')),
                ('created_at', models.DateTimeField(verbose_name='created at')),
                ('created_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='created by')),
                ('permission', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='auth.permission', verbose_name='right')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='overrides', to=settings.AUTH_USER_MODEL, verbose_name='person')),
            ],
            options={
                'verbose_name': 'override',
                'verbose_name_plural': 'overrides',
                'ordering': ('user', 'permission'),
                'default_permissions': (),
                'constraints': [models.UniqueConstraint(fields=('user', 'permission'), name='right_is_overridden_once', violation_error_message='This right is granted or denied already.')],
            },
        ),
        Track(
            "accounts.override",
            [
                "id", "user_id", "permission_id", "is_granted", "reason", "created_by_id", "created_at",
            ],
        ),
    ]
