"""What time it is, by the control database: leases and due times are compared there, so they are set by the same clock.

A host whose clock is an hour off would else hold a lease an hour too long, or give it up at once.
"""

from __future__ import annotations

from datetime import datetime

from django.db import connection


def now() -> datetime:
    """The moment on the database server, also within a long transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (moment,) = cursor.fetchone()
    assert isinstance(moment, datetime)
    return moment
