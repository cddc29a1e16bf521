"""Text messages beside mail: a channel for every message, a carrier for every channel, texts, and who wants them."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from audit.operations import Track


class Migration(migrations.Migration):

    dependencies = [
        ("audit", "0002_trail"),
        ('outbox', '0002_mail_about_signing_in'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Carrier',
            fields=[
                ('channel', models.CharField(choices=[('mail', 'Mail'), ('sms', 'Text message')], max_length=4, primary_key=True, serialize=False, verbose_name='channel')),
                ('down_since', models.DateTimeField(blank=True, null=True, verbose_name='down since')),
                ('next_probe_at', models.DateTimeField(blank=True, null=True, verbose_name='next probe at')),
                ('last_failure', models.CharField(blank=True, max_length=500, verbose_name='last failure')),
            ],
            options={
                'verbose_name': 'carrier',
                'verbose_name_plural': 'carriers',
                'default_permissions': ('view',),
            },
        ),
        migrations.CreateModel(
            name='SmsTemplate',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(choices=[('urgent_alert', 'Urgent alerts'), ('2fa_code', 'Code for signing in')], max_length=20, unique=True, verbose_name='name')),
                ('content_en', models.TextField(max_length=600, verbose_name='in English')),
                ('content_ar', models.TextField(max_length=600, verbose_name='in Arabic')),
                ('is_active', models.BooleanField(default=True, help_text='Taken away, no text messages of this kind are written any more.', verbose_name='active')),
            ],
            options={
                'verbose_name': 'text template',
                'verbose_name_plural': 'text templates',
                'ordering': ('name',),
                'default_permissions': ('view', 'change'),
            },
        ),
        migrations.CreateModel(
            name='WantedText',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('severity', models.CharField(max_length=8, verbose_name='severity')),
            ],
            options={
                'verbose_name': 'wanted text message',
                'verbose_name_plural': 'wanted text messages',
                'default_permissions': (),
            },
        ),
        migrations.RunSQL(
            """
            INSERT INTO outbox_carrier (channel, down_since, next_probe_at, last_failure)
            SELECT 'mail', down_since, next_probe_at, last_failure FROM outbox_mailserver
            """,
            migrations.RunSQL.noop,
        ),
        migrations.DeleteModel(
            name='MailServer',
        ),
        migrations.RemoveIndex(
            model_name='message',
            name='message_waiting',
        ),
        migrations.AddField(
            model_name='message',
            name='channel',
            field=models.CharField(choices=[('mail', 'Mail'), ('sms', 'Text message')], default='mail', max_length=4, verbose_name='channel'),
        ),
        migrations.AddField(
            model_name='message',
            name='provider_id',
            field=models.CharField(blank=True, max_length=200, verbose_name='number at the provider'),
        ),
        migrations.AlterField(
            model_name='message',
            name='kind',
            field=models.CharField(choices=[('digest', 'Digest of alerts'), ('shipment_alert', 'Alert about one shipment'), ('seal_anchor', 'Newest seal of the trail'), ('lockout', 'Signing in was locked'), ('password_reset', 'Set a new password'), ('email_verification', 'Verify the e-mail address'), ('invitation', 'Invitation to Clearance'), ('welcome', 'Welcome to Clearance'), ('password_changed', 'The password was changed'), ('second_factor_off', 'The second factor was turned off'), ('urgent_alert', 'Urgent alerts')], max_length=20, verbose_name='kind'),
        ),
        migrations.AddIndex(
            model_name='message',
            index=models.Index(models.F('channel'), models.F('not_before'), models.F('id'), condition=models.Q(('delivery', 'waiting')), name='message_waiting'),
        ),
        migrations.AddField(
            model_name='wantedtext',
            name='user',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='wanted_texts', to=settings.AUTH_USER_MODEL, verbose_name='person'),
        ),
        migrations.AddConstraint(
            model_name='wantedtext',
            constraint=models.UniqueConstraint(fields=('user', 'severity'), name='text_is_wanted_once', violation_error_message='Text messages of this severity are wanted already.'),
        ),
        migrations.AddConstraint(
            model_name='wantedtext',
            constraint=models.CheckConstraint(condition=models.Q(('severity', 'urgent')), name='text_is_for_what_is_urgent', violation_error_message='Text messages are for urgent alerts only.'),
        ),
        Track(
            "outbox.message",
            [
                "id",
                "channel",
                "kind",
                "recipient_id",
                "message_id",
                "cc",
                "bcc",
                "reply_to",
                "delivery",
                "not_before",
                "leased_until",
                "refusals",
                "last_refusal",
                "sent_at",
                "provider_id",
                "created_at",
            ],
            added=["channel", "provider_id"],
        ),
        Track("outbox.smstemplate", ["id", "name", "content_en", "content_ar", "is_active"]),
        Track("outbox.wantedtext", ["id", "user_id", "severity"]),
    ]
