"""Items that share a statement, straight through the coalescer on the real database."""

from __future__ import annotations

import asyncio

import psycopg

from healing.gateway.coalesce import Coalescer, Item, Lane, NotMeant
from healing.gateway.sharing import TableHeld
from healing.gateway.target import Pool
from tests.integration.test_target import AS, pool_at

LANE = Lane(
    AS,
    """WITH w AS (INSERT INTO t(a) SELECT a FROM json_to_recordset($1::json) AS _(a int) RETURNING 1)
    SELECT count(*) AS n, pg_current_xact_id()::text AS xid, true AS same FROM w""",
    by_row=False,
)


def test_who_hangs_up_takes_nothing_with_them(target_url: str, owner: psycopg.Connection) -> None:
    """Callers that go away before their rows were sent, or while they are: the rows land once, and the neighbours hear of theirs."""

    async def run() -> list[object]:
        async with pool_at(target_url) as pool:
            coalescer = Coalescer(pool)
            sends = [asyncio.create_task(coalescer.send(LANE, Item(b'{"a":%d}' % number, 1))) for number in range(40)]
            await asyncio.sleep(0)
            for gone in sends[::4]:
                gone.cancel()
            answers = await asyncio.gather(*sends, return_exceptions=True)
            await coalescer.close()
            return list(answers)

    owner.execute("CREATE TABLE t(a int)")
    answers = asyncio.run(run())
    assert [type(answer) for answer in answers[::4]] == [asyncio.CancelledError] * 10
    assert [answer for number, answer in enumerate(answers) if number % 4] == [()] * 30
    assert [row[0] for row in owner.execute("SELECT a FROM t ORDER BY a")] == list(range(40))


def test_a_table_that_is_held_for_too_long_is_waited_for_once(target_url: str, owner_url: str, owner: psycopg.Connection) -> None:
    """All are told that the time is over, and nobody goes alone to wait for it again; whoever waits for a row goes alone, as before."""

    async def send(pool: Pool, numbers: range) -> list[object]:
        coalescer = Coalescer(pool)
        sends = [asyncio.create_task(coalescer.send(LANE, Item(b'{"a":%d}' % number, 1))) for number in numbers]
        answers = await asyncio.gather(*sends, return_exceptions=True)
        await coalescer.close()
        return list(answers)

    async def run(numbers: range) -> list[object]:
        pool = Pool(target_url, 3, 60.0, 1.0)
        try:
            return await send(pool, numbers)
        finally:
            await pool.close()

    owner.execute("CREATE TABLE t(a int UNIQUE)")
    with psycopg.connect(owner_url) as holder:
        holder.execute("LOCK TABLE t")
        held = asyncio.run(run(range(20)))
    with psycopg.connect(owner_url) as holder:
        holder.execute("INSERT INTO t VALUES (3)")
        mixed = asyncio.run(run(range(20)))
        holder.rollback()
    assert [type(answer) for answer in held] == [TableHeld] * 20
    assert {answer.failure.code for answer in held if isinstance(answer, TableHeld)} == {"57014"}
    assert {type(answer) for answer in mixed} <= {NotMeant, tuple} and NotMeant in map(type, mixed)
    assert owner.execute("SELECT count(*) FROM t WHERE a = 3").fetchone() == (0,)
