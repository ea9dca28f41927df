"""The breaker before the target database: when the database is away, callers are told at once instead of piling up.

A failure is the database's own: it cannot be reached, the connection was lost, no connection came free in time. An error of a
statement is an answer, so the database is well, whatever its code (a trigger that writes to another server may say 08006); a statement
that ran out of time or waited for a lock says nothing either way.
A fault of the breaker stops nobody (promise 6): then there is no gate.
"""

from __future__ import annotations

import asyncio
import logging
import math
from typing import Any

import asyncpg

from breakers import registry
from breakers.core.types import Outcome
from breakers.registry import Permit
from healing.core.types import Failure

log = logging.getLogger("mendgate.target")

NAME = "target-database"
SETTINGS: dict[str, Any] = {
    "failure_threshold": 10, "minimum_calls": 10, "window": 20.0, "timeout": 2.0, "timeout_cap": 15.0, "permits": 3, "permit_seconds": 45.0,
    "ramp": (),  # a database that is back serves everybody
}  # fmt: skip
REFUSED = "PGRST001"
_LOST = (asyncpg.InterfaceError, asyncpg.PostgresConnectionError, ConnectionError, OSError, asyncio.IncompleteReadError, EOFError)
_DOWN = ("08", "57P01", "57P02", "57P03", "53300")
_NOBODYS_FAULT = ("57014", "55P03", "57P05")


class Gate:
    """Asks the breaker for each use of the target."""

    def __init__(self) -> None:
        self._breaker = registry.default.get(NAME, **SETTINGS)
        self._complained = False

    async def enter(self) -> Permit | Failure | None:
        """A permit to settle, the failure that turns a caller away, or None where the breaker itself is broken."""
        try:
            return await self._breaker.aacquire()
        except registry.Open as refusal:
            return _refusal(refusal)
        except Exception:
            if not self._complained:
                self._complained = True
                log.exception("the breaker of the target database is out of order; writes go on without it")
            return None


def outcome_of(error: BaseException) -> Outcome:
    """What an error says of the database."""
    failure = getattr(error, "failure", None)
    code = failure.code if isinstance(failure, Failure) else getattr(error, "sqlstate", None)
    if isinstance(error, asyncio.CancelledError) or code in _NOBODYS_FAULT:
        return Outcome.EXCLUDED
    if code:
        went_on = getattr(error, "severity_en", None) == "ERROR"
        return Outcome.FAILURE if code.startswith(_DOWN) and not went_on else Outcome.OK
    return Outcome.FAILURE if isinstance(error, _LOST) else Outcome.EXCLUDED


def _refusal(refusal: registry.Open) -> Failure:
    seconds = max(1, math.ceil(refusal.retry_after))
    details = f"Breaker {NAME} is {refusal.state.replace('_', ' ')}" + (f": {refusal.why}" if refusal.why else ".")
    message = "The database is not answering; the request was not sent to it."
    return Failure(REFUSED, message, details, f"Send it again in {seconds} s.", retry_after=seconds)
