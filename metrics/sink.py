"""Where flushes go: a row each in the control database, over a connection of the recorder's own. Free of Django."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

_INSERT = "INSERT INTO metrics_flush (boot, number, body) VALUES (%s, %s, %s::jsonb) ON CONFLICT (boot, number) DO NOTHING"


class Sink:
    """Stores flushes from any process, over a connection of its own that is opened when it is needed.
    A recorder's thread must not share a request's."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._connection: psycopg.Connection[Any] | None = None
        self._pid = 0

    def __call__(self, boot: str, number: int, body: str) -> None:
        """Raises ``psycopg.Error`` where it cannot be stored now."""
        import psycopg  # here, in the recorder's thread: a killed web process must serve again at once

        if self._connection is None or self._connection.closed or self._pid != os.getpid():  # a fork must not use its parent's
            self._pid = os.getpid()
            self._connection = psycopg.connect(
                self._url, autocommit=True, connect_timeout=3, application_name="mendgate metrics", prepare_threshold=None
            )
        try:
            self._connection.execute(_INSERT, [boot, number, body])
        except psycopg.Error:
            self.close()
            raise

    def close(self) -> None:
        """Closes the connection; the next flush opens another."""
        if self._connection is not None:
            self._connection.close()
