"""Tells every running process that something changed. Sent inside the transaction, so it arrives if and only if that commits."""

from __future__ import annotations

from django.db import connection

CHANNEL = "mendgate_snapshot"


def notify(payload: str) -> None:
    """``payload`` is ``rules``, ``policies``, ``keys``, ``retired``, ``certified`` or ``schema:<epoch>``: the part that gateways must read
    again."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, payload])
