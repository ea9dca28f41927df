"""Breakers before the destinations of alerts: one a webhook's host, one a chat or mail channel. An open one holds messages back in the
outbox. Free of Django."""

from __future__ import annotations

import logging
import math
import time
from datetime import timedelta
from typing import Any

from breakers import registry
from breakers.core.types import Outcome
from schema_monitor.alerts.gates import Held, Settle, Verdict

log = logging.getLogger(__name__)

SETTINGS: dict[str, Any] = {
    "failure_threshold": 5, "minimum_calls": 5, "window": 300.0, "timeout": 60.0, "timeout_cap": 1800.0, "permits": 1,
    "permit_seconds": 30.0, "ramp": (),
}  # fmt: skip
HEARSAY = 0.5
"""Seconds that a new process (each job is one) waits to hear how a destination stands."""
_listens: dict[str, float] = {}


def ask(destination: str) -> Settle | Held | None:
    """Whether a destination may be spoken to now. A fault of the breaker stops nothing."""
    try:
        breaker = registry.get(destination, **SETTINGS)
        _listen(breaker)
        permit = breaker.acquire()
    except registry.Open as refusal:
        why = f"Breaker {destination} is {refusal.state.replace('_', ' ')}: {refusal.why or 'it was not tried.'}"
        return Held(why, timedelta(seconds=max(1, math.ceil(refusal.retry_after))))
    except Exception:
        log.exception("the breaker of %s is out of order; alerts go on without it", destination)
        return None

    def settle(verdict: Verdict) -> None:
        outcome = Outcome.EXCLUDED if verdict.fault is None else Outcome.FAILURE if verdict.fault else Outcome.OK
        permit.settle(outcome, verdict.seconds, verdict.error or None)

    return settle


def _listen(breaker: registry.Breaker) -> None:
    """Every thread waits that comes before the first word: several send at once."""
    ends = _listens.setdefault(breaker.name, time.monotonic() + HEARSAY)
    while breaker.standing is None and time.monotonic() < ends:
        time.sleep(0.005)
