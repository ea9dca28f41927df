"""One ``up`` per MENDGATE_HOME."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class AlreadyRunning(Exception):
    """Another ``up`` holds the home; the message names it."""


@contextmanager
def held(home: Path, url: str) -> Iterator[None]:
    """Hold the lock of ``home``. The system frees it however the holder ends, so a stale one cannot be."""
    path = home / "up.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(
                f"Mendgate is already running on {home}: {file.read().strip()}. Stop that one, or set another MENDGATE_HOME and PORT."
            ) from None
        file.truncate(0)
        file.write(f"process {os.getpid()}, {url}")
        file.flush()
        yield
        file.truncate(0)


def holder(home: Path) -> str | None:
    """Who runs on this home ("process 12, http://…"), or None."""
    try:
        with (home / "up.lock").open("r", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read().strip()
    except FileNotFoundError:
        return None
    return None
