"""A limit for waiting on a database: a connection that was cut silently never answers, and nothing in the driver notices."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg


@contextmanager
def within(seconds: float, *connections: psycopg.Connection[Any]) -> Iterator[None]:
    """Shuts the connections' sockets after so many seconds: whoever waits for one of them gets an ``OperationalError``."""
    timer = threading.Timer(seconds, _shut, [[connection.fileno() for connection in connections]])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _shut(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        with suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as copy:
            copy.shutdown(socket.SHUT_RDWR)
