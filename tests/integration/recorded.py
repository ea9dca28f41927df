"""Observations that take the way of real ones: through a Recorder and its sink into the control database."""

from __future__ import annotations

from datetime import timedelta

import psycopg
from django.db import connection
from psycopg.conninfo import make_conninfo

from metrics.core.observation import Observation
from metrics.recorder import Recorder
from metrics.sink import Sink


def dsn(url: str = "") -> str:
    """That database, or Django's own, for a connection beside it."""
    if url:
        return url
    wanted = ("host", "port", "user", "password", "dbname")
    return make_conninfo(**{name: value for name, value in connection.get_connection_params().items() if name in wanted})


class Recording:
    """A recorder that flushes when told, as of now or of some time ago."""

    def __init__(self, url: str = "") -> None:
        self.recorder = Recorder()
        self.dsn = dsn(url)
        self.sink = Sink(self.dsn)
        self.recorder.connect(self.sink)

    def see(self, *seen: Observation) -> None:
        """Takes note."""
        for each in seen:
            self.recorder.observe(each)

    def flush(self, age: timedelta | None = None) -> None:
        """Stores what was seen; ``age``: as if it had been that long ago."""
        with psycopg.connect(self.dsn, autocommit=True) as control:
            (before,) = control.execute("SELECT coalesce(max(id), 0) FROM metrics_flush").fetchone() or (0,)
            assert self.recorder.flush()
            if age is not None:
                control.execute("UPDATE metrics_flush SET at = now() - %s WHERE id > %s", [age, before])

    def close(self) -> None:
        """Ends the connection."""
        self.sink.close()
