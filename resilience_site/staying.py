"""Keeps a process of RQ's alive while Valkey is away. RQ's own ends then, and an orchestrator waits longer before each new start: up to
five minutes after Valkey is back, in which nothing would be swept."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable

from redis.exceptions import RedisError
from rq.exceptions import StopRequested

log = logging.getLogger(__name__)
PAUSES = (0.5, 1.0, 2.0, 5.0)


def stay(
    life: Callable[[], None], is_over: Callable[[], bool], beat: Callable[[], None], pause: Callable[[float], None] = time.sleep
) -> None:
    """Live again and again until ``is_over``. A life that ends without being asked to is followed by the next after a pause; ``beat`` is
    called before each."""
    failures = 0
    try:
        while True:
            beat()
            _hear()  # until RQ sets handlers of its own, which it does once Valkey is there
            begun = time.monotonic()
            cause = _lived(life)
            _hear()  # RQ's would ask Valkey
            if is_over():
                return
            failures = 0 if time.monotonic() - begun > 60 else failures + 1
            log.warning("ended unasked (%s), goes on in a moment", cause)
            pause(PAUSES[min(failures, len(PAUSES) - 1)])
    except StopRequested:  # raised by signal handlers, RQ's or ours, wherever we are
        return


def _hear() -> None:
    for sign in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sign, _stop)


def _stop(*_: object) -> None:
    raise StopRequested


def _lived(life: Callable[[], None]) -> str:
    try:
        life()
    except RedisError as error:
        return str(error)
    except SystemExit as error:
        if error.code != 1:  # 1: django-rq's word for Valkey being away when it began
            raise
    return "Valkey was away"
