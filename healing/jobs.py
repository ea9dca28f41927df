"""What RQ workers run. A job carries nothing: it looks into Postgres for what is due, so it may ring twice or not at all."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.conf import settings

from healing import ai_alerts, case_marks, certification, receipt_copies, review_alerts, transaction_log, wake
from healing.assist import runs
from healing.assist.abandoned import settle_abandoned
from healing.draining import drain
from healing.schema_fixes import run
from healing.take_back import work
from schema_monitor import traffic
from schema_monitor.impact import scratch

logger = logging.getLogger(__name__)


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
