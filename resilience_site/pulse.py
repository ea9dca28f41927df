"""That a process without a port still goes round: each round of its loop touches a file in MENDGATE_HOME, and a probe looks how old it is.

Says nothing about Valkey or a database: a process that waits for one of them is well, and starting it again would not help.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

log = logging.getLogger(__name__)
OLDEST = 180.0
"""Seconds. The longest pause of a sound loop is a minute (RQ waiting for Valkey, cron with nothing due)."""


def beat(home: Path, name: str) -> None:
    """Once a round. A full or read-only disk costs the probe, not the process."""
    try:
        _file(home, name).touch(mode=0o600)
    except OSError as error:
        log.warning("no pulse can be left in %s: %s", home, error)


def age(home: Path, name: str) -> float | None:
    """Seconds since the last beat; None where there was none."""
    try:
        return max(0.0, time.time() - _file(home, name).stat().st_mtime)
    except OSError:
        return None


def _file(home: Path, name: str) -> Path:
    return home / f"pulse-{name}"
