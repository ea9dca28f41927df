"""Tells every process that the AI gateway's rows changed. Sent inside the transaction, so it arrives if and only if that commits."""

from __future__ import annotations

from typing import Any

from django.db import connection, models, transaction

CHANNEL = "mendgate_snapshot"
PART = "ai"


def notify_ai() -> None:
    """Whoever changes several rows at once (``QuerySet.update``) calls it; rows that are saved one by one do it themselves."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, PART])


class InForce(models.Model):
    """A row that processes act by: they are told when it is saved or deleted."""

    class Meta:
        abstract = True

    @transaction.atomic
    def save(self, *args: Any, **kwargs: Any) -> None:
        super().save(*args, **kwargs)
        notify_ai()

    @transaction.atomic
    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        notify_ai()
        return super().delete(*args, **kwargs)
