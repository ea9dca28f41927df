"""A worker's work on what is due for a replay: batch after batch, in order, at most ``REPLAY_RATE`` a second over all workers.

claim -> replay -> settle -> wait (the cap), pause (the room that live writes need) -> claim …
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from uuid import UUID

from django.conf import settings

from healing import quarantine, replay_orders, replay_pace
from healing.doorbell import ring
from healing.quarantine import Claim, Settled

logger = logging.getLogger(__name__)

Run = Callable[[list[Claim]], list[Settled]]
"""Replays a batch."""

MOST_AT_ONCE = 200
"""writes of a batch; fewer where the cap is low, so that no second sees a burst."""
BUDGET_SECONDS = 60.0
"""A job ends after this and rings for the next one, far below RQ's own timeout."""
SOON = 6.0
"""seconds"""
IN_FLIGHT = "MG409"
"""A write's own sender sends it again just now: no reason to leave the others alone."""
BATCH_SECONDS = quarantine.LEASE_SECONDS / 3
"""Nothing of a batch is begun after this; the rest is given back while its lease still holds."""


def drain(order: UUID | None = None, budget: float = BUDGET_SECONDS) -> int:
    """Replays what is due. Returns how many items ended (in whatever way)."""
    done, ends = 0, time.monotonic() + budget
    pace = replay_pace.Pace(settings.REPLAY_RATE)
    with _replaying() as run:
        pace.begin()
        while claims := _claimed(pace.batch(MOST_AT_ONCE), order, ends):
            pace.takes(len(claims))
            results = _replay(claims, run)
            done += sum(result.outcome not in ("unavailable", "untried") for result in results)
            if any(result.outcome == "unavailable" and (result.error or {}).get("code") != IN_FLIGHT for result in results):
                break
            if time.monotonic() > ends:
                ring()
                break
            pace.rest()
    replay_orders.finish_orders()
    return done


def _claimed(batch: int, order: UUID | None, ends: float) -> list[Claim]:
    """The next batch. Where all that is left pauses for a moment after a failure, that is waited for."""
    claims = quarantine.claim(batch, order)
    while not claims and (pause := quarantine.next_due(order)) is not None and pause <= SOON and time.monotonic() + pause < ends:
        time.sleep(pause)
        claims = quarantine.claim(batch, order)
    return claims


def _replay(claims: list[Claim], run: Run) -> list[Settled]:
    """Replays a batch and settles it. The target being away gives the rest back."""
    try:
        results = run(claims)
    except Exception as error:
        return _replay_apart(claims, run, error)
    quarantine.settle_all(list(zip(claims, results, strict=True)))
    return results


def _replay_apart(claims: list[Claim], run: Run, error: Exception) -> list[Settled]:
    """The batch broke as a whole: in halves, so that the item that breaks it does not take the others along."""
    if len(claims) > 1:
        middle = len(claims) // 2
        return [*_replay(claims[:middle], run), *_replay(claims[middle:], run)]
    logger.error("replay of %s broke", claims[0].id, exc_info=error)
    fault = {"code": "MG500", "message": f"The replay broke: {type(error).__name__}", "details": None, "hint": "See the worker's log."}
    settled = Settled("failed", error=fault)
    quarantine.settle(claims[0], settled)
    return [settled]


@contextmanager
def _replaying() -> Iterator[Run]:
    """Batches of one job share their connections and what they know of the schema. Nothing is opened before something is to be done."""
    with ExitStack() as opened:

        def run(claims: list[Claim]) -> list[Settled]:
            if not made:
                made.append(_replayer(opened))
            return made[0](claims)

        made: list[Run] = []
        yield run


def _replayer(opened: ExitStack) -> Run:
    from healing.gateway.replay_batch import Replayer  # here, not above: the web process has no use for it

    runner, replayer = opened.enter_context(asyncio.Runner()), Replayer()
    opened.callback(lambda: runner.run(replayer.close()))

    def run(claims: list[Claim]) -> list[Settled]:
        results = runner.run(replayer.replay([str(claimed.id) for claimed in claims], BATCH_SECONDS))
        return [Settled(r.outcome, r.receipt, r.error) for r in results]

    return run
