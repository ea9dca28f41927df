"""What was changed and not told: a notification may be lost. Every few seconds each part of what a process knows is held against the
control database, by a sum over the very rows that it is loaded from.
"""

from __future__ import annotations

import asyncpg

LOOK_EVERY = 5.0
"""Seconds between two looks; longer, up to ``RAREST``, where a look costs more than a hundredth of that."""
RAREST = 30.0


def sum_of(*queries: str) -> str:
    """SQL that gives another number where the rows of the queries are other ones, in whatever order they come."""
    each = [
        f"(SELECT count(*) + coalesce(sum(hashtextextended(t::text, {n})::numeric), 0) FROM ({sql}) t)"  # noqa: S608 - our own queries
        for n, sql in enumerate(queries)
    ]
    return f"SELECT ({' + '.join(each)})::text"


async def ask(control: asyncpg.Connection, sql: str | None) -> str:
    """The sum as it is now; '' where there is nothing to ask, or the table is not there yet."""
    if sql is None:
        return ""
    try:
        return str(await control.fetchval(sql))
    except asyncpg.UndefinedTableError:
        return ""


def pause_after(cost: float) -> float:
    """Seconds until the next look, after one that took ``cost`` seconds."""
    return min(max(LOOK_EVERY, 100 * cost), RAREST)
