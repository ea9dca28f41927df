"""One game day from plan to signed report."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from resilience_site.gameday import plan
from resilience_site.gameday.conduct import conduct
from resilience_site.gameday.faults import FAULTS
from resilience_site.gameday.report import report_of
from resilience_site.gameday.stage import Stage, sweep

WEBS, CLIENTS, PACE = 2, 8, 0.1
REST = 6.0
"""Seconds between two faults, for what the one did to be over before the next begins."""


def hold(faults: Sequence[str], *, number: str, by: str, seed: int, say: Callable[[str], None], lasts: float = 1.0) -> dict[str, Any]:
    """The report, unsigned. Those that must not be felt come first, so that nothing excuses their trouble. ``lasts``: how long faults
    last, against what is usual. Raises ``StageError``."""
    sweep()
    chosen = sorted(dict.fromkeys(faults), key=lambda name: not FAULTS[name].harmless)
    acts = plan.in_turn([(name, FAULTS[name].lasts * lasts) for name in chosen], REST * lasts)
    return asyncio.run(_hold(acts, number, by, seed, say))


async def _hold(acts: list[plan.Act], number: str, by: str, seed: int, say: Callable[[str], None]) -> dict[str, Any]:
    began = datetime.now(UTC)
    say("making a scratch Mendgate: servers, tables, two web processes, worker, scheduler, watcher")
    async with Stage(WEBS, say) as stage:
        say(f"it serves; {CLIENTS} clients begin (seed {seed})")
        outcome = await conduct(stage, acts, seed=seed, clients=CLIENTS, pace=PACE, until=0, say=say)
        say("counted")
    return report_of(outcome, number=number, by=by, began=began)
