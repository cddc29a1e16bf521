"""What people become whom the identity provider brings and nobody has entered."""

import django.db.models.functions.text
from django.db import migrations, models

from audit.operations import Track


class Migration(migrations.Migration):

    dependencies = [
        ("audit", "0002_trail"),
        ('accounts', '0004_roles_and_invitations'),
    ]

    operations = [
        migrations.CreateModel(
            name='IdentityRule',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('pattern', models.CharField(help_text='amal@example.com, or @example.com for everybody there. The address wins over the domain.', max_length=254, verbose_name='e-mail address or domain')),
                ('department', models.CharField(choices=[('BusinessUnit', 'Business Unit'), ('Finance', 'Finance'), ('C&C', 'Customs & Clearance'), ('Stores', 'Stores'), ('IA', 'Internal Audit'), ('Management', 'Management')], max_length=20, verbose_name='department')),
                ('role', models.CharField(choices=[('PPR', 'PPR (primary person responsible)'), ('APR', 'APR (alternate person responsible)'), ('Manager', 'Head of department'), ('ReadOnly', 'Read only')], max_length=10, verbose_name='role')),
            ],
            options={
                'verbose_name': 'identity rule',
                'verbose_name_plural': 'identity rules',
                'ordering': ('pattern',),
                'constraints': [models.UniqueConstraint(fields=('pattern',), name='identity_rule_is_the_only_one', violation_error_message='There is a rule for this address or domain already. Change that one.'), models.CheckConstraint(condition=models.Q(('pattern', django.db.models.functions.text.Lower('pattern')), ('pattern__regex', '^[^@\\s]*@[^@\\s.]+(\\.[^@\\s.]+)+$')), name='identity_rule_is_an_address_or_a_domain', violation_error_message='Write an e-mail address, or a domain that begins with @; in small letters.'), models.CheckConstraint(condition=models.Q(models.Q(('role', 'Admin'), _negated=True), models.Q(('department', ''), _negated=True)), name='identity_rule_makes_no_administrator', violation_error_message='A rule names a department, and never makes an administrator.')],
            },
        ),
        Track(
            "accounts.identityrule",
            [
                "id", "pattern", "department", "role",
            ],
        ),
    ]
