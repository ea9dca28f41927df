"""Writers and readers through real lanes over a torn connection: what was said of each request is what happened.

``python -m tests.wire_fuzz URL ROUNDS SEED``: one round after another, each with a seed of its own, on the gateway's loop.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import uvloop

from healing.gateway import at_once
from healing.gateway.batch import Batch, begin, read, xid_of
from healing.gateway.coalesce import Coalescer, Item, Lane, OutOfTime
from healing.gateway.prelude import Prelude
from healing.gateway.sqltext import Query
from healing.gateway.target import DatabaseError, Pool
from healing.gateway.together import ByItself, Entry, KeyedLane, Together
from healing.gateway.wire_messages import Step
from tests.torn_proxy import TornProxy

TABLE = "CREATE TABLE torn(a int PRIMARY KEY CHECK (a % 17 <> 0), b text); GRANT ALL ON torn TO service_role"
PRELUDE = Prelude(("role",), (b"service_role",))
INSERT = Lane(
    PRELUDE,
    "WITH w AS (INSERT INTO torn(a, b) SELECT a, b FROM json_to_recordset($1::json) AS _(a int, b text) RETURNING 1)"
    " SELECT count(*)::text, NULL, pg_current_xact_id()::text, true FROM w",
    by_row=False,
)
UPSERT = KeyedLane(
    PRELUDE,
    "INSERT INTO torn(a, b) SELECT a, b FROM json_to_recordset($1::json) AS _(a int, b text)"
    " ON CONFLICT (a) DO UPDATE SET b = EXCLUDED.b RETURNING b, true, false, pg_current_xact_id()::text, true",
)
SELECT = KeyedLane(PRELUDE, "SELECT repeat(k, 1 + k::int % 3000) FROM json_to_recordset($1::json) AS _(k text)", reads=True)
WRITE = (
    "WITH w AS (INSERT INTO torn(a, b) SELECT $1::text::int, $2 RETURNING b)"
    " SELECT min(b), count(*), NULL, NULL, NULL, current_user, pg_current_xact_id()::text, true FROM w"
)
UNKNOWN = "MG504"


class Wrong(Exception):
    """An answer that was not its own."""


@dataclass
class Ledger:
    """What was said: values stored, refused, and of which nobody knows; readers who got what was not theirs; codes and how often."""

    stored: set[int] = field(default_factory=set)
    refused: set[int] = field(default_factory=set)
    unknown: set[int] = field(default_factory=set)
    wrong: list[object] = field(default_factory=list)
    codes: dict[str, int] = field(default_factory=dict)

    def say(self, code: str) -> None:
        """One more answer."""
        self.codes[code] = self.codes.get(code, 0) + 1


async def play(url: str, owner_url: str, seed: int, requests: int, cuts: float, cancels: int = 0) -> Ledger:
    """A round: ``requests`` through a pool of 4 connections that is whole afterwards. Raises ``AssertionError`` for what is not true.
    ``cancels``: statements that are cancelled from outside meanwhile, wherever they are."""
    ledger, owner = Ledger(), await asyncpg.connect(owner_url)
    await owner.execute(TABLE)
    try:
        async with TornProxy(url, seed, cuts) as proxy:
            pool = Pool(proxy.through, 4, 60.0, 60.0)
            storm = asyncio.ensure_future(_cancel(owner, cancels, seed))
            await _all(pool, ledger, random.Random(seed), requests)  # noqa: S311
            await storm
            await _whole(pool)
        found = [row["a"] for row in await owner.fetch("SELECT a FROM torn WHERE a > 0 ORDER BY a")]
        assert ledger.wrong == [], ledger.wrong
        assert ledger.stored <= set(found), ("lost", ledger.stored - set(found))
        assert not ledger.refused & set(found), ("stored all the same", ledger.refused & set(found))
        assert set(found) <= ledger.stored | ledger.unknown
    finally:
        await owner.execute("DROP TABLE torn")
        await owner.close()
    return ledger


async def _all(pool: Pool, ledger: Ledger, dice: random.Random, requests: int) -> None:
    coalescer, together = Coalescer(pool), Together(pool)
    started: list[asyncio.Future[None]] = []
    ways = ((_insert, coalescer), (_upsert, together), (_select, together), (_read, pool), (_write, pool), (_write_once, pool))
    for number in range(1, requests + 1):
        way, through = dice.choice(ways)
        started.append(asyncio.ensure_future(_noted(ledger, number, way, through)))
        if dice.random() < 0.2:
            await asyncio.sleep(dice.random() / 100)
        if dice.random() < 0.03:
            started[-1].cancel()
    ended = await asyncio.gather(*started, return_exceptions=True)
    ledger.wrong += [each for each in ended if each is not None and not isinstance(each, asyncio.CancelledError)]
    await coalescer.close()
    await together.close()


async def _noted(ledger: Ledger, number: int, way: Callable[[Any, int], Awaitable[bool]], through: object) -> None:
    """Notes what became of a request. Who hangs up is told nothing, and the write goes on."""
    try:
        wrote = await way(through, number)
    except asyncio.CancelledError:
        ledger.unknown.add(number)
        ledger.say("hung up")
    except ByItself:
        ledger.refused.add(number)
        ledger.say("by itself")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        ledger.say(f"asyncpg: {type(error).__name__}")
    except DatabaseError as error:
        ledger.say(error.failure.code)
        (ledger.unknown if error.failure.code == UNKNOWN else ledger.refused).add(number)
    except OutOfTime:
        ledger.refused.add(number)
    except Wrong as wrong:
        ledger.wrong.append(wrong.args)
    else:
        ledger.say("")
        if wrote:
            ledger.stored.add(number)


async def _insert(coalescer: Coalescer, number: int) -> bool:
    await coalescer.send(INSERT, Item(b'{"a":%d,"b":"i%d"}' % (number, number), 1))
    return True


async def _upsert(together: Together, number: int) -> bool:
    record = await together.send(UPSERT, Entry(b'{"a":%d,"b":"u%d"}' % (number, number), number))
    return _own(record[0], b"u%d" % number)


async def _select(together: Together, number: int) -> bool:
    record = await together.send(SELECT, Entry(b'{"k":"%d"}' % number, None))
    return not _own(record[0], b"%d" % number * (1 + number % 3000))


async def _read(pool: Pool, number: int) -> bool:
    text = b"%d" % number
    if number % 5 == 0:  # asyncpg has the same connections in between
        async with pool.connection() as connection:
            told = await connection.fetchval("SELECT $1::text", text.decode())
            return not _own(told.encode(), text)
    rows = await read(pool, (PRELUDE.step,), Step("SELECT $1::text FROM generate_series(1, 1 + $1::text::int % 40)", (text,)))
    return not _own(rows, [[text]] * (1 + number % 40))


async def _write(pool: Pool, number: int) -> bool:
    """As an ordinary write, whose transaction is its own."""
    plan = Query(WRITE, (number, f"w{number}"))
    batch = await at_once.begun(pool, PRELUDE, plan, "", None)
    assert isinstance(batch, Batch)
    record = at_once.written(batch.rows[0])
    if number % 10 == 0:
        await batch.rollback()
        return False
    await batch.commit("SELECT 1;", record["xid"])
    return _own(record["body"], f"w{number}")


async def _write_once(pool: Pool, number: int) -> bool:
    """As one that asks something as ourselves first."""
    text = b"%d" % number
    batch = await begin(pool, (), Step("SELECT $1::text, current_user::text", (text,)))
    asked = batch.rows
    await batch.ask((PRELUDE.step,), Step(WRITE, (text, b"w" + text)))
    await batch.commit(xid=xid_of(batch.rows))
    return _own(asked, [[text, b"authenticator"]]) and _own(batch.rows[0][0], b"w" + text)


def _own(found: object, expected: object) -> bool:
    if found != expected:
        raise Wrong(expected, found)
    return True


async def _cancel(owner: asyncpg.Connection, times: int, seed: int) -> None:
    """Cancels whatever a connection of the gateway is at, again and again."""
    dice = random.Random(seed)  # noqa: S311
    for _ in range(times):
        await owner.execute(
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'mendgate' AND datname = current_database()"
        )
        await asyncio.sleep(dice.random() / 50)


async def _whole(pool: Pool) -> None:
    """Every connection of the pool comes back, in no transaction."""
    async with asyncio.timeout(120):
        while pool._open != len(pool._idle):
            await asyncio.sleep(0.01)
    assert not pool._waiting
    for connection in pool._idle:
        assert connection.is_closed() or not (connection.is_in_transaction() or pool.wire(connection).is_open)
    await pool.close()
    assert pool._open == 0


if __name__ == "__main__":
    address, owner_address, rounds, first = sys.argv[1:]
    for each in range(int(first), int(first) + int(rounds)):
        told = uvloop.run(play(address, owner_address, each, 400, each % 3, 200 * (each % 2)))
        sys.stdout.write(f"{each} {len(told.stored)} {len(told.refused)} {len(told.unknown)} {told.codes}\n")
