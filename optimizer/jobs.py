"""What RQ workers run for the optimizer. A job carries nothing: it looks into Postgres for what is due."""

from __future__ import annotations

import logging
from collections.abc import Callable

from optimizer import experiments, followed, runs, schedule
from schema_monitor import server_clock

logger = logging.getLogger(__name__)


def work() -> int:
    """Carries out runs that are due; returns how many ended."""
    done = 0
    while (run := runs.claim()) is not None:
        runs.carry_out(run)
        done += run.state == "done"
        logger.info("optimizer run %s (%s): %s, %s new proposals", run.pk, run.target, run.state, run.found)
    return done


def look() -> None:
    """Now and then, and when a trigger fired: asks for runs that are due, looks at what is being tried, follows what people decided."""
    now = server_clock.now()
    for step in (
        lambda: schedule.ask_due(now), lambda: experiments.look(now), lambda: experiments.watch_adopted(now), lambda: followed.follow(now),
        work,
    ):  # fmt: skip
        _safely(step)


def _safely(step: Callable[[], object]) -> None:
    """A step that fails must not keep the others from running; the next look tries it again."""
    try:
        step()
    except Exception:
        logger.exception("the optimizer's look: a step failed")
