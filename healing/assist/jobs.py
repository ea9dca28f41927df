"""What the AI tier's worker runs. As every job it carries nothing: it looks into Postgres for what is due."""

from __future__ import annotations

import asyncio
import logging
import time

from breakers.gateway.ai.ask import Unanswered
from healing.assist import budget, runs
from healing.assist.inquiry import inquire
from healing.assist.known import known_of
from healing.assist.models import AssistRun
from healing.assist.outcome import write_down
from healing.doorbell import ASSIST, ring

logger = logging.getLogger(__name__)

BUDGET_SECONDS = 90.0
"""no run begins later than this in one job; with the longest run it stays below RQ's own timeout."""
LATER = 600.0
"""seconds until somebody who could not be reached, or a spent budget, is tried again."""
SOON = 60.0


def work(most_seconds: float = BUDGET_SECONDS) -> int:
    """Carries out what is due; returns how many runs ended or were put off. Rings for itself where more is left."""
    done, ends = 0, time.monotonic() + most_seconds
    while (run := runs.claim()) is not None:
        _carry_out(run)
        done += 1
        if time.monotonic() > ends:
            ring(ASSIST)
            break
    return done


def _carry_out(run: AssistRun) -> None:
    """One run, whatever happens to it; the log names it by its id alone."""
    try:
        known = known_of(run)
        if known.fix is None and (why := budget.spent()):
            runs.put_off(run, why, LATER)
            return
        finding = asyncio.run(inquire(run.schema, run.table, run.signature, str(run.pk), known))
        verdict = write_down(run, finding, known)
        logger.info("AI run %s: %s", run.pk, verdict or "its lease was lost")
    except Unanswered as error:
        runs.put_off(run, error.reason[:300], error.retry_after or (SOON if error.breaker_open else LATER))
        logger.info("AI run %s: nobody answered", run.pk)
    except Exception as error:
        logger.error("AI run %s broke: %s", run.pk, type(error).__name__)
        _broke(run, error)


def _broke(run: AssistRun, error: Exception) -> None:
    """Our own fault, or a database that was away: a few more tries, then it is given up."""
    why = f"The run broke: {type(error).__name__}"
    if run.attempts < runs.MOST_ATTEMPTS:
        runs.again(run, why, SOON)
    else:
        runs.give_up(run, why)
