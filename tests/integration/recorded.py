"""Observations that take the way of real ones: through a Recorder and its sink into the control database."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection
from django.utils import timezone
from psycopg.conninfo import make_conninfo

from metrics.core.observation import Observation
from metrics.models import Flush
from metrics.recorder import Recorder
from metrics.sink import Sink


def dsn(url: str = "") -> str:
    """Django's own database, for a connection beside it."""
    wanted = ("host", "port", "user", "password", "dbname")
    return url or make_conninfo(**{name: value for name, value in connection.get_connection_params().items() if name in wanted})


class Recording:
    """A recorder that flushes when told, as of now or of some time ago."""

    def __init__(self, url: str = "") -> None:
        self.recorder = Recorder()
        self.sink = Sink(dsn(url))
        self.recorder.connect(self.sink)

    def see(self, *seen: Observation) -> None:
        """Takes note."""
        for each in seen:
            self.recorder.observe(each)

    def flush(self, age: timedelta | None = None) -> None:
        """Stores what was seen; ``age``: as if it had been that long ago."""
        before = set(Flush.objects.values_list("pk", flat=True))
        assert self.recorder.flush()
        if age is not None:
            Flush.objects.exclude(pk__in=before).update(at=timezone.now() - age)

    def close(self) -> None:
        """Ends the connection."""
        self.sink.close()
