"""Commands of ``manage.py`` as processes of their own, as a machine runs them, and ``kill -9`` of one with its children."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.gateway_process import Gateway, launch


@contextmanager
def program(gateway: Gateway, command: str) -> Iterator[int]:
    """A command with the gateway's environment; its process id. Killed at the end."""
    started = launch(["manage.py", command], gateway.environment, gateway.home / f"{command}.log", cold=gateway.cold)
    try:
        yield started.pid
    finally:
        kill9(started.pid)
        started.wait()


def kill9(pid: int) -> None:
    """A process and its children at once; those that are gone already are none."""
    for each in (*children(pid), pid):
        with suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)


def children(pid: int) -> list[int]:
    """Process ids."""
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(each) for each in path.read_text().split()] if path.exists() else []
