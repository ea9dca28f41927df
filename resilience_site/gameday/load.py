"""Memory and connections of the scratch Mendgate over time, and whether they stay within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

import psycopg
from msgspec import Struct

from healing.gateway.settings import Settings
from resilience_site.embedded_state import TARGET
from resilience_site.gameday.stage import Stage

EVERY = 1.0
GROWTH = 1.25
"""What the last quarter's median may hold against the second quarter's (the first warms up), and ``ROOM`` megabytes more."""
ROOM = 40.0
POOL = Settings(database_url="", target_database_url="").pool_size
OTHERS = 4
"""connections beside the pool: the follower's, a probe, and what a killed process has not given back yet."""
_CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND application_name LIKE 'mendgate%%'"


class Load(Struct, frozen=True):
    """At one moment: the largest web process's megabytes, and the target's connections (-1: it could not be asked)."""

    at: float
    web_mb: float
    connections: int

    @staticmethod
    def wrong(loads: Sequence[Load], webs: int) -> list[str]:
        """What grew beyond its bound, a sentence each."""
        said = []
        most, bound = max((load.connections for load in loads), default=0), webs * (POOL + OTHERS) + OTHERS
        if most > bound:
            said.append(f"{most} connections to the target; {webs} web processes may hold {bound}")
        quarter = len(loads) // 4
        if quarter >= 30:
            early, late = (median(load.web_mb for load in part) for part in (loads[quarter : 2 * quarter], loads[-quarter:]))
            if late > early * GROWTH + ROOM:
                said.append(f"a web process held {late:.0f} MB in the last quarter, {early:.0f} MB in the second")
        return said


async def watch(stage: Stage, now: Callable[[], float], into: list[Load]) -> None:
    """Looks every second, until cancelled."""
    while True:
        await asyncio.sleep(EVERY)
        groups = {process.pid for name, process in stage.supervisor.processes.items() if name in stage.webs}
        memory = await asyncio.to_thread(_largest, groups)
        into.append(Load(round(now(), 1), round(memory, 1), await _connections(stage)))


async def _connections(stage: Stage) -> int:
    try:
        async with asyncio.timeout(2):
            return int((await stage.sql(_CONNECTIONS, "postgres", TARGET))[0][0])
    except (psycopg.Error, TimeoutError):
        return -1


def _largest(groups: set[int]) -> float:
    """Megabytes of the largest process of these process groups. Linux only, elsewhere 0."""
    sizes = [0.0]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if int((process / "stat").read_text().rpartition(")")[2].split()[2]) in groups:
                lines = (process / "status").read_text().splitlines()
                sizes += [int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")]
        except OSError:
            continue
    return max(sizes)
