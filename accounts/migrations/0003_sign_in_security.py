"""How people sign in more safely: lockout, remembered passwords, links in mails, second factors."""

import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models

from audit.operations import Track


class Migration(migrations.Migration):

    dependencies = [
        ("audit", "0002_trail"),
        ('accounts', '0002_kept_answers'),
        ('outbox', '0002_mail_about_signing_in'),
    ]

    operations = [
        migrations.CreateModel(
            name='RequiredSecondFactor',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('role', models.CharField(choices=[('PPR', 'PPR (primary person responsible)'), ('APR', 'APR (alternate person responsible)'), ('Manager', 'Head of department'), ('Admin', 'Administrator'), ('ReadOnly', 'Read only')], max_length=10, unique=True, verbose_name='role')),
            ],
            options={
                'verbose_name': 'required second factor',
                'verbose_name_plural': 'required second factors',
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='SecondFactor',
            fields=[
                ('user', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='second_factor', serialize=False, to=settings.AUTH_USER_MODEL, verbose_name='person')),
                ('secret', models.CharField(max_length=255, verbose_name='secret')),
                ('last_step', models.BigIntegerField(default=0)),
                ('created_at', models.DateTimeField(verbose_name='created at')),
                ('confirmed_at', models.DateTimeField(null=True, verbose_name='confirmed at')),
            ],
            options={
                'verbose_name': 'second factor',
                'verbose_name_plural': 'second factors',
                'default_permissions': (),
            },
        ),
        migrations.AddField(
            model_name='user',
            name='email_verified_at',
            field=models.DateTimeField(blank=True, null=True, verbose_name='e-mail address verified at'),
        ),
        migrations.AddField(
            model_name='user',
            name='signed_out_at',
            field=models.DateTimeField(blank=True, null=True, verbose_name='signed out everywhere at'),
        ),
        migrations.AddField(
            model_name='user',
            name='unlocked_at',
            field=models.DateTimeField(blank=True, null=True, verbose_name='unlocked at'),
        ),
        migrations.CreateModel(
            name='BackupCode',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('code_hash', models.CharField(max_length=64)),
                ('used_at', models.DateTimeField(null=True, verbose_name='used at')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='backup_codes', to=settings.AUTH_USER_MODEL, verbose_name='person')),
            ],
            options={
                'verbose_name': 'backup code',
                'verbose_name_plural': 'backup codes',
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='FailedSignIns',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('account', models.CharField(blank=True, max_length=64)),
                ('source', models.CharField(blank=True, max_length=45)),
                ('failures', models.PositiveSmallIntegerField(default=0)),
                ('locks', models.PositiveSmallIntegerField(default=0)),
                ('last_failed_at', models.DateTimeField(db_index=True)),
                ('locked_until', models.DateTimeField(null=True)),
            ],
            options={
                'default_permissions': (),
                'constraints': [models.UniqueConstraint(fields=('account', 'source'), name='failed_sign_ins_are_counted_once', violation_error_message='Failures of an account from a source are counted in one place.')],
            },
        ),
        migrations.CreateModel(
            name='OldPassword',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('password', models.CharField(max_length=128, verbose_name='password')),
                ('set_at', models.DateTimeField(verbose_name='set at')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='old_passwords', to=settings.AUTH_USER_MODEL, verbose_name='person')),
            ],
            options={
                'verbose_name': 'earlier password',
                'verbose_name_plural': 'earlier passwords',
                'ordering': ('-set_at', '-pk'),
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='Ticket',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('purpose', models.CharField(choices=[('reset', 'Set a new password'), ('verify', 'Verify the e-mail address')], max_length=12, verbose_name='purpose')),
                ('email', models.EmailField(max_length=254, verbose_name='e-mail address')),
                ('created_at', models.DateTimeField(verbose_name='created at')),
                ('expires_at', models.DateTimeField(db_index=True, verbose_name='expires at')),
                ('used_at', models.DateTimeField(null=True, verbose_name='used at')),
                ('message', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='ticket', to='outbox.message', verbose_name='message')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='tickets', to=settings.AUTH_USER_MODEL, verbose_name='person')),
            ],
            options={
                'verbose_name': 'link in a mail',
                'verbose_name_plural': 'links in mails',
                'default_permissions': (),
            },
        ),
        Track(
            "accounts.backupcode",
            [
                "id", "user_id", "code_hash", "used_at",
            ],
        ),
        Track(
            "accounts.oldpassword",
            [
                "id", "user_id", "password", "set_at",
            ],
        ),
        Track(
            "accounts.requiredsecondfactor",
            [
                "id", "role",
            ],
        ),
        Track(
            "accounts.secondfactor",
            [
                "user_id", "secret", "last_step", "created_at", "confirmed_at",
            ],
        ),
        Track(
            "accounts.ticket",
            [
                "id", "user_id", "purpose", "email", "message_id", "created_at", "expires_at", "used_at",
            ],
        ),
        Track(
            "accounts.user",
            [
                "id", "password", "last_login", "is_superuser", "email", "full_name", "phone", "department",
                "role", "language", "time_zone", "is_active", "is_staff", "identity_issuer",
                "identity_subject", "email_verified_at", "unlocked_at", "signed_out_at", "created_at",
                "updated_at",
            ],
            added=["email_verified_at", "signed_out_at", "unlocked_at"],
        ),
    ]
