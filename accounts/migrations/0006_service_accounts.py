"""Accounts that machines act with, and their API keys; sessions of the back office that say whose they are."""

import datetime
import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models

from audit.operations import Track


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0005_identity_rules'),
        ('auth', '0012_alter_user_first_name_max_length'),
    ]

    operations = [
        migrations.CreateModel(
            name='ApiKey',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=80, verbose_name='name')),
                ('prefix', models.CharField(max_length=8, unique=True, verbose_name='prefix')),
                ('key_hash', models.CharField(max_length=64)),
                ('scopes', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=100), size=None, verbose_name='scopes')),
                ('allowed_networks', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=43), blank=True, default=list, size=None, verbose_name='allowed networks')),
                ('created_at', models.DateTimeField(verbose_name='issued at')),
                ('expires_at', models.DateTimeField(verbose_name='expires at')),
                ('rotated_at', models.DateTimeField(blank=True, null=True, verbose_name='replaced at')),
                ('revoked_at', models.DateTimeField(blank=True, null=True, verbose_name='revoked at')),
                ('last_used_at', models.DateTimeField(blank=True, null=True, verbose_name='last used at')),
                ('last_used_from', models.GenericIPAddressField(blank=True, null=True, verbose_name='last used from')),
                ('last_refused_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'verbose_name': 'API key',
                'verbose_name_plural': 'API keys',
                'ordering': ('-created_at',),
                'default_permissions': (),
            },
        ),
        migrations.CreateModel(
            name='ServiceAccount',
            fields=[
            ],
            options={
                'verbose_name': 'service account',
                'verbose_name_plural': 'service accounts',
                'permissions': (('manage_serviceaccount', 'Can manage service accounts and their API keys'),),
                'proxy': True,
                'default_permissions': (),
                'indexes': [],
                'constraints': [],
            },
            bases=('accounts.user',),
        ),
        migrations.AddField(
            model_name='user',
            name='is_service',
            field=models.BooleanField(default=False, editable=False, verbose_name='service account'),
        ),
        migrations.AddConstraint(
            model_name='user',
            constraint=models.CheckConstraint(condition=models.Q(('is_service', False), models.Q(('email__endswith', '@service-account.invalid'), ('identity_subject', ''), ('is_staff', False), ('password__startswith', '!')), _connector='OR'), name='user_service_account_never_signs_in', violation_error_message='A service account has API keys: no password, no address, no back office.'),
        ),
        migrations.AddConstraint(
            model_name='user',
            constraint=models.CheckConstraint(condition=models.Q(('is_service', False), ('role__in', ('PPR', 'ReadOnly')), _connector='OR'), name='user_service_account_leads_nobody', violation_error_message='A service account is PPR or Read only.'),
        ),
        migrations.AddConstraint(
            model_name='user',
            constraint=models.UniqueConstraint(django.db.models.functions.text.Lower('full_name'), condition=models.Q(('is_service', True)), name='user_service_account_has_a_name_of_its_own', violation_error_message='There is a service account of this name already.'),
        ),
        migrations.AddField(
            model_name='apikey',
            name='account',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='api_keys', to=settings.AUTH_USER_MODEL, verbose_name='service account'),
        ),
        migrations.AddField(
            model_name='apikey',
            name='created_by',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='issued by'),
        ),
        migrations.AddConstraint(
            model_name='apikey',
            constraint=models.CheckConstraint(condition=models.Q(('expires_at__gt', models.F('created_at')), ('expires_at__lte', django.db.models.expressions.CombinedExpression(models.F('created_at'), '+', models.Value(datetime.timedelta(days=365))))), name='api_key_lasts_a_year_at_most', violation_error_message='An API key expires after its issue, within a year.'),
        ),
        migrations.AddConstraint(
            model_name='apikey',
            constraint=models.CheckConstraint(condition=models.Q(('scopes__len__gt', 0)), name='api_key_has_a_scope', violation_error_message='An API key has at least one scope.'),
        ),
        migrations.CreateModel(
            name='BrowserSession',
            fields=[
                ('session_key', models.CharField(max_length=40, primary_key=True, serialize=False, verbose_name='session key')),
                ('session_data', models.TextField(verbose_name='session data')),
                ('expire_date', models.DateTimeField(db_index=True, verbose_name='expire date')),
                ('ip_address', models.GenericIPAddressField(null=True, verbose_name='IP address')),
                ('user_agent', models.CharField(blank=True, max_length=200, verbose_name='program')),
                ('opened_at', models.DateTimeField(null=True, verbose_name='signed in at')),
                ('seen_at', models.DateTimeField(null=True, verbose_name='last used at')),
                ('user', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='person')),
            ],
            options={
                'verbose_name': 'browser session',
                'verbose_name_plural': 'browser sessions',
                'default_permissions': (),
            },
        ),
        Track(
            "accounts.apikey",
            [
                "id", "account_id", "name", "prefix", "key_hash", "scopes", "allowed_networks", "created_by_id",
                "created_at", "expires_at", "rotated_at", "revoked_at", "last_used_at", "last_used_from",
                "last_refused_at",
            ],
        ),
        Track(
            "accounts.user",
            [
                "id", "password", "last_login", "is_superuser", "email", "full_name", "phone", "department",
                "role", "language", "time_zone", "is_active", "is_staff", "is_service", "identity_issuer",
                "identity_subject", "email_verified_at", "unlocked_at", "signed_out_at", "created_at",
                "updated_at",
            ],
            added=["is_service"],
        ),
    ]
