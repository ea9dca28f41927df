"""What RQ workers run. A job carries nothing: it looks into Postgres for what is due, so it may ring twice or not at all."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from uuid import UUID

from django.conf import settings

from healing import ai_alerts, case_marks, certification, quarantine, receipt_copies, replay_orders, review_alerts, transaction_log, wake
from healing.assist import runs
from healing.assist.abandoned import settle_abandoned
from healing.doorbell import ring
from healing.quarantine import Claim, Settled
from healing.schema_fixes import run
from healing.take_back import work
from schema_monitor import traffic
from schema_monitor.impact import scratch

logger = logging.getLogger(__name__)

Run = Callable[[list[Claim]], list[Settled]]
"""Replays a batch."""

BATCH = 10
BUDGET_SECONDS = 60.0
"""A job ends after this and rings for the next one, far below RQ's own timeout."""


def drain(order: UUID | None = None, budget: float = BUDGET_SECONDS) -> int:
    """Replays what is due, in order, at most REPLAY_RATE a second. Returns how many items ended (in whatever way)."""
    done, ends = 0, time.monotonic() + budget
    rate = max(1, getattr(settings, "REPLAY_RATE", 50))
    with _replaying() as run:
        while claims := quarantine.claim(min(BATCH, rate), order):
            started = time.monotonic()
            settled = _replay(claims, run)
            done += settled
            if settled < len(claims):
                break
            if time.monotonic() > ends:
                ring()
                break
            time.sleep(max(0.0, len(claims) / rate - (time.monotonic() - started)))
    replay_orders.finish_orders()
    return done


def sweep() -> None:
    """Finds what no bell was heard for: lost leases and rings, waiting writes of automatic callers, receipts to copy and to mark, counts to
    forget, scratch databases of killed impact checks, causes for the AI. Tells of its budgets and keys."""
    _safely(settle_abandoned)
    for step in (
        wake.order_due,
        drain,
        receipt_copies.copy_all,
        transaction_log.settle,
        case_marks.mark_new,
        receipt_copies.prune_idempotency,
        traffic.prune,
        drop_scratch,
        ai_alerts.look,
    ):
        _safely(step)
    _safely(runs.ring_due)
    for last in (certification.certify_due, review_alerts.tell, run.ring_due, work.ring_due):
        _safely(last)


def migrate() -> None:
    """Runs approved migrations, where the operator allowed it."""
    run.run_due()


def take_back() -> None:
    """Takes back what rules did, where somebody ordered it."""
    work.work()


def drop_scratch() -> None:
    """What killed impact checks left."""
    scratch.sweep(settings.MENDGATE.database_url, settings.MENDGATE.scratch_database_url)


def _safely(step: Callable[[], object]) -> None:
    """A step that fails must not keep the others from running; the next sweep tries it again."""
    try:
        step()
    except Exception:
        logger.exception("sweep: %s failed", step.__name__)


def _replay(claims: list[Claim], run: Run) -> int:
    """Replays a batch and settles it; returns how many ended. The target being away gives the rest back."""
    try:
        results = run(claims)
    except Exception as error:
        return _replay_apart(claims, run, error)
    ended = 0
    for claimed, result in zip(claims, results, strict=True):
        quarantine.settle(claimed, result)
        ended += result.outcome != "unavailable"
    return ended


def _replay_apart(claims: list[Claim], run: Run, error: Exception) -> int:
    """The batch broke as a whole: one by one, so that the item that breaks it does not take the others along."""
    if len(claims) > 1:
        return sum(_replay([claimed], run) for claimed in claims)
    logger.error("replay of %s broke", claims[0].id, exc_info=error)
    fault = {"code": "MG500", "message": f"The replay broke: {type(error).__name__}", "details": None, "hint": "See the worker's log."}
    quarantine.settle(claims[0], Settled("failed", error=fault))
    return 1


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
    from healing.gateway.replay import Replayer  # here, not above: the web process has no use for it

    runner, replayer = opened.enter_context(asyncio.Runner()), Replayer()
    opened.callback(lambda: runner.run(replayer.close()))

    def run(claims: list[Claim]) -> list[Settled]:
        results = runner.run(replayer.replay([str(claimed.id) for claimed in claims]))
        return [Settled(r.outcome, r.receipt, r.error) for r in results]

    return run
