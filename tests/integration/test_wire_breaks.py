"""What could put a wire's stream out of step, or hand what is left open to the next one: on asyncio's loop and on the gateway's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import psycopg
import pytest
import uvloop

from healing.gateway.batch import begin, read
from healing.gateway.target import Pool
from healing.gateway.wire_messages import Record, Step
from tests.faulty_proxy import FaultyProxy
from tests.integration.test_target import pool_at, stored
from tests.integration.test_wire import code_of

AS = (Step("SELECT set_config('role','service_role',true)"),)
INSERT = "INSERT INTO t(a) SELECT unnest($1::text::int[]) RETURNING a::text, pg_current_xact_id()::text"
SLEEPS = "SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
LOOPS = {"asyncio": asyncio.run, "uvloop": uvloop.run}
T = TypeVar("T")


@pytest.fixture(params=LOOPS)
def loop(request: pytest.FixtureRequest) -> Callable[..., object]:
    """Runs a coroutine to its end."""
    return LOOPS[request.param]


@pytest.fixture
def table(owner: psycopg.Connection) -> psycopg.Connection:
    """A table t(a int)."""
    owner.execute("CREATE TABLE t(a int)")
    return owner


def said(text: str) -> Step:
    return Step("SELECT $1::text", (text.encode(),))


async def until(holds: Callable[[], bool]) -> None:
    """Waits for what must come."""
    ends = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < ends, "waited in vain"
        await asyncio.sleep(0.01)


def with_pool(loop: Callable[..., object], url: str, work: Callable[[Pool], Awaitable[T]], size: int = 1, wait: float = 30) -> T:
    """What ``work`` returns for a pool, which is whole afterwards."""

    async def run() -> T:
        async with pool_at(url, size, wait) as pool:
            found = await work(pool)
            await until(lambda: pool._open == len(pool._idle))
        assert pool._open == 0
        return found

    return loop(run())  # type: ignore[return-value]


def test_who_gives_up_on_a_plain_connection_leaves_no_answer_behind(
    loop: Callable[..., object], target_url: str, table: psycopg.Connection
) -> None:
    """asyncpg's own statement is still being cancelled: that connection is nobody's any more."""

    async def work(pool: Pool) -> list[Record]:
        async def slow() -> None:
            async with pool.connection() as connection:
                await connection.fetchval("SELECT 'another''s' FROM pg_sleep(30)")

        task = asyncio.create_task(slow())
        await until(lambda: bool(table.execute(SLEEPS).fetchall()))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return await read(pool, AS, said("mine"))

    assert with_pool(loop, target_url, work) == [[b"mine"]]


def test_an_opening_that_fails_takes_the_statement_along(loop: Callable[..., object], target_url: str, table: psycopg.Connection) -> None:
    """A time limit of 1 ms that a function left on the session ends the opening: what follows it in the same breath must not run on
    its own."""

    async def work(pool: Pool) -> list[str]:
        left = "SELECT count(set_config('mg.x' || n, '1', false))::text FROM generate_series(1, 30000) AS n"
        await read(pool, AS, Step(left))
        connection = await pool.acquire()
        await connection.execute(left)
        await connection.execute("SET statement_timeout = '1ms'")
        pool.release(connection)
        return [await code_of(begin(pool, AS, Step(INSERT, (b"{7}",))))]

    assert with_pool(loop, target_url, work) == ["57014"]
    assert stored(table) == []


def test_what_was_said_once_is_not_said_again(loop: Callable[..., object], target_url: str, table: psycopg.Connection) -> None:
    """A statement under way when its connection broke may have done what no rollback takes back: it is reported."""
    table.execute("CREATE SEQUENCE told; GRANT USAGE ON SEQUENCE told TO service_role")

    async def work(pool: Pool) -> str:
        step = Step("INSERT INTO t(a) SELECT nextval('told')::int FROM pg_sleep(30 * nextval('told')::int)")
        task = asyncio.create_task(code_of(begin(pool, AS, step)))
        await until(lambda: bool(table.execute(SLEEPS.replace("FROM", "pg_terminate_backend(pid) FROM", 1)).fetchall()))
        return await task

    assert with_pool(loop, target_url, work) == "08003"
    assert table.execute("SELECT last_value FROM told").fetchone() == (1,)


def test_what_cannot_be_sent_costs_no_connection(loop: Callable[..., object], target_url: str) -> None:
    """No text for Postgres, or more parameters than it takes."""

    async def work(pool: Pool) -> list[object]:
        many = Step("SELECT 1", (b"",) * 65_536)
        found: list[object] = []
        for step in (Step("SELECT '\ud800'"), many):
            found += [await code_of(read(pool, AS, step)), await code_of(begin(pool, AS, step))]
        return [*found, await read(pool, AS, said("mine"))]

    assert with_pool(loop, target_url, work, wait=2) == ["22P05", "22P05", "22P05", "22P05", [[b"mine"]]]


def test_who_gives_up_while_undoing_gives_the_connection_back(loop: Callable[..., object], target_url: str) -> None:
    """A write that was told to stop while its ROLLBACK was under way."""

    async def work(pool: Pool) -> None:
        batch = await begin(pool, AS, said("x"))
        proxy.freeze()
        task = asyncio.create_task(batch.rollback())
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        proxy.thaw()

    with FaultyProxy(target_url) as proxy:
        with_pool(loop, proxy.url, work)


def test_who_gives_up_once_answered_does_not_end_the_next_ones_connection(loop: Callable[..., object], target_url: str) -> None:
    """The answer has come and the connection is somebody else's, before the reader has looked."""

    async def work(pool: Pool) -> int:
        before = await _pid(pool)
        connection = await pool.acquire()
        wire, given = pool.wire(connection), asyncio.Event()
        pool.release(connection)
        task = asyncio.create_task(read(pool, AS, said("x")))
        give_back = wire._give_back

        def then_cancel(*args: object) -> None:
            give_back(*args)
            task.cancel()
            given.set()

        wire._give_back = then_cancel  # type: ignore[method-assign]
        await given.wait()
        await asyncio.gather(task, return_exceptions=True)
        return int(await _pid(pool) == before)

    assert with_pool(loop, target_url, work) == 1


def test_a_connection_in_the_middle_of_a_transaction_goes_to_nobody(loop: Callable[..., object], target_url: str) -> None:
    """As where a read's COMMIT was cancelled: whoever comes next would be in it."""

    async def work(pool: Pool) -> str:
        connection = await pool.acquire()
        await pool.wire(connection).ask(("BEGIN",), (), said("x"))
        pool.release(connection)
        return await code_of(read(pool, AS, said("x"))) + str(connection.is_closed())

    assert with_pool(loop, target_url, work) == "True"


def test_an_answer_is_not_kept_once_it_was_given(loop: Callable[..., object], target_url: str) -> None:
    """Connections outlive what came over them."""

    async def work(pool: Pool) -> bool:
        await read(pool, AS, said("x"))
        connection = await pool.acquire()
        pool.release(connection)
        return bool(pool.wire(connection)._rows)

    assert with_pool(loop, target_url, work) is False


def test_a_pool_that_closes_leaves_no_read_behind(loop: Callable[..., object], target_url: str) -> None:
    """Its answer is there, its COMMIT is under way: nobody would ever close that connection."""

    async def run() -> list[object]:
        with FaultyProxy(target_url) as proxy:
            async with pool_at(proxy.url, 1, 30) as pool:
                await read(pool, AS, said("x"))
                left = list(pool._wires)
            await until(lambda: pool._open == 0)
            return [each for each in left if not each.is_closed()]

    assert loop(run()) == []


def test_a_changed_encoding_is_known_to_both(loop: Callable[..., object], target_url: str) -> None:
    """A function that asyncpg called changed the session's encoding, and the wire's opening changed it back: asyncpg hears of that too."""

    async def work(pool: Pool) -> str:
        connection = await pool.acquire()
        await connection.execute("SET client_encoding = 'LATIN1'")
        pool.release(connection)
        await read(pool, AS, said("x"))
        async with pool.connection() as connection:
            return str(await connection.fetchval("SELECT $1::text || 'Ã¤'", "Ã¶"))

    assert with_pool(loop, target_url, work) == "Ã¶Ã¤"


async def _pid(pool: Pool) -> bytes | None:
    ((pid,),) = await read(pool, AS, Step("SELECT pg_backend_pid()::text"))
    return pid
