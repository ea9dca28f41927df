"""What rests may be a word, not only up or down."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    """One column, wider."""

    dependencies: ClassVar = [("optimizer", "0002_immutable")]
    operations: ClassVar = [
        migrations.AlterField(
            model_name="bar",
            name="direction",
            field=models.CharField(help_text="up, down, or what it would have become.", max_length=40),
        ),
    ]
