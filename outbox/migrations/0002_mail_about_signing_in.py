"""Mails about signing in."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('outbox', '0001_initial'),
    ]

    operations = [
        migrations.AlterField(
            model_name='message',
            name='kind',
            field=models.CharField(choices=[('digest', 'Digest of alerts'), ('shipment_alert', 'Alert about one shipment'), ('seal_anchor', 'Newest seal of the trail'), ('lockout', 'Signing in was locked'), ('password_reset', 'Set a new password'), ('email_verification', 'Verify the e-mail address')], max_length=20, verbose_name='kind'),
        ),
    ]
