"""What only its sender says against a rule."""

from __future__ import annotations

from typing import ClassVar

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):
    """One table."""

    dependencies: ClassVar = [("healing", "0018_people_not_names")]
    operations: ClassVar = [
        migrations.CreateModel(
            name="Doubt",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("identity", models.TextField()),
                ("times", models.PositiveIntegerField(default=1, help_text="Writes that it took back, or called wrong.")),
                ("at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                (
                    "rule",
                    models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name="doubts", to="healing.rule"),
                ),
            ],
            options={"ordering": ["at"], "default_permissions": ("view",)},
        ),
        migrations.AddConstraint(
            model_name="doubt",
            constraint=models.UniqueConstraint(fields=("rule", "identity"), name="a_sender_doubts_a_rule_once"),
        ),
    ]
