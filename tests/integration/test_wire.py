"""Batches straight through the wire on the real database: what they say in one go comes back whole, and what goes wrong leaves nothing."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
import psycopg
import pytest

from healing.gateway.auth import make_caller
from healing.gateway.batch import begin, read
from healing.gateway.target import DatabaseError, Pool, Transaction
from healing.gateway.wire_messages import Record, Step
from tests.faulty_proxy import FaultyProxy
from tests.integration.test_target import pool_at, stored

AS = (Step("SELECT set_config('role','service_role',true)"),)
WHO = Step("SELECT current_user::text, $1::text", (b"asked",))
INSERT = "INSERT INTO t(a) SELECT unnest($1::text::int[]) RETURNING a::text, pg_current_xact_id()::text"


@pytest.fixture
def table(owner: psycopg.Connection) -> psycopg.Connection:
    """A table t(a int), no value twice."""
    owner.execute("CREATE TABLE t(a int UNIQUE DEFERRABLE INITIALLY DEFERRED CHECK (a > 0))")
    return owner


T = TypeVar("T")


def with_pool(url: str, work: Callable[[Pool], Awaitable[T]], size: int = 1, wait: float = 5) -> T:
    """What ``work`` returns for a pool."""

    async def run() -> T:
        async with pool_at(url, size, wait) as pool:
            return await work(pool)

    return asyncio.run(run())


async def code_of(work: Awaitable[object]) -> str:
    """The code that it fails with; '' where it does not."""
    try:
        await work
    except DatabaseError as error:
        return error.failure.code
    return ""


async def insert(pool: Pool, values: str) -> list[Record]:
    """Rows, committed."""
    batch = await begin(pool, AS, Step(INSERT, (values.encode(),)))
    await batch.commit(xid=(batch.rows[0][1] or b"").decode())
    return batch.rows


def test_rows_are_those_of_the_statement_alone(target_url: str) -> None:
    """The opening returns rows too; NULLs, empty texts, many rows, and one larger than any piece that a socket hands out come whole."""

    async def work(pool: Pool) -> list[list[Record]]:
        many = Step("SELECT n::text, NULL, '' FROM generate_series(1, $1::text::int) AS n", (b"5000",))
        large = Step("SELECT repeat('ä', $1::text::int), $2::text", (b"3000000", None))
        return [await read(pool, AS, step) for step in (WHO, many, large, WHO)]

    who, many, large, again = with_pool(target_url, work)
    assert who == again == [[b"service_role", b"asked"]]
    assert many == [[b"%d" % n, None, b""] for n in range(1, 5001)]
    assert large == [["ä".encode() * 3_000_000, None]]


def test_a_failed_step_leaves_the_connection_clean(target_url: str, table: psycopg.Connection) -> None:
    """In the opening, in the statement, at its end, where it is parsed: each with the database's own code; nothing is stored; the one
    connection serves on, as nobody."""

    async def work(pool: Pool) -> list[str]:
        first = (Step("SELECT set_config('role','nobody_such',true)"),)
        second = await code_of(begin(pool, AS, Step(INSERT, (b"{1,-1}",))))
        third = await code_of(read(pool, AS, Step("SELECT n FROM nowhere")))
        found = [await code_of(begin(pool, first, Step(INSERT, (b"{1}",)))), second, third, await code_of(insert(pool, "{1,1}"))]
        async with pool.connection() as connection:
            found.append(await connection.fetchval("SELECT current_user::text"))
        return [*found, str(len(await insert(pool, "{7}")))]

    assert with_pool(target_url, work) == ["22023", "23514", "42P01", "23505", "authenticator", "1"]
    assert stored(table) == [7]


def test_nothing_is_stored_before_commit(target_url: str, table: psycopg.Connection) -> None:
    """What was asked and is rolled back is not there."""

    async def work(pool: Pool) -> int:
        batch = await begin(pool, AS, Step(INSERT, (b"{1,2}",)))
        await batch.rollback()
        return len(batch.rows)

    assert with_pool(target_url, work) == 2
    assert stored(table) == []


def test_more_can_be_asked_in_the_transaction(target_url: str, table: psycopg.Connection) -> None:
    """As ourselves first, then as a caller; what takes longer than a first word may is waited for, and stored with the rest."""

    async def work(pool: Pool) -> list[list[Record]]:
        batch = await begin(pool, (), Step("SELECT current_user::text, pg_current_xact_id()::text"))
        found = [batch.rows]
        pool.wire(batch._connection)._patience = 0.1
        await batch.ask(AS, Step("SELECT current_user::text, pg_current_xact_id()::text, pg_sleep(0.5)::text"))
        found.append(batch.rows)
        await batch.ask((), Step(INSERT, (b"{3,4}",)))
        pool.wire(batch._connection)._patience = 5
        await batch.commit(xid=(batch.rows[0][1] or b"").decode())
        return [*found, batch.rows]

    ours, theirs, written = with_pool(target_url, work)
    assert (ours[0][0], theirs[0][0]) == (b"authenticator", b"service_role")
    assert ours[0][1] == theirs[0][1] == written[0][1]
    assert stored(table) == [3, 4]


def test_what_is_asked_more_and_fails_undoes_all(target_url: str, table: psycopg.Connection) -> None:
    """In what goes before, in the statement, and where it cannot be sent: nothing is stored, the connection serves on."""
    hostile = [(AS, Step(INSERT, (b"{-1}",))), ((Step("SELECT 1/0"),), Step(INSERT, (b"{2}",))), (AS, Step(INSERT, (b"{2}",) * 70_000))]

    async def work(pool: Pool) -> list[str]:
        codes = []
        for before, step in hostile:
            batch = await begin(pool, AS, Step(INSERT, (b"{1}",)))
            codes.append(await code_of(batch.ask(before, step)))
        return [*codes, str(len(await insert(pool, "{7}")))]

    assert with_pool(target_url, work) == ["23514", "22012", "22P05", "1"]
    assert stored(table) == [7]


def test_what_a_function_left_on_the_session_is_gone(target_url: str) -> None:
    """A setting for the session, and prepared statements that a function threw away: the next one is served all the same."""

    async def work(pool: Pool) -> list[object]:
        setting = Step("SELECT set_config('my.secret', 'x', false)")
        shown = Step("SELECT coalesce(current_setting('my.secret', true), '')")
        drops = "DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$"
        found: list[object] = [await read(pool, AS, setting), await read(pool, AS, shown)]
        await read(pool, AS, Step(drops))
        return [*found, await code_of(read(pool, AS, shown)), await read(pool, AS, shown)]

    assert with_pool(target_url, work) == [[[b"x"]], [[b""]], "40001", [[b""]]]


def test_what_a_function_says_is_not_taken_for_the_wires_own_trouble(target_url: str) -> None:
    """It may say that a prepared statement is gone, too: that is told as it was said, and not tried again."""

    async def work(pool: Pool) -> str:
        return await code_of(read(pool, AS, Step("DO $$ BEGIN RAISE EXCEPTION 'mine' USING ERRCODE = '26000'; END $$")))

    assert with_pool(target_url, work) == "26000"


def test_a_very_long_statement_is_not_kept(target_url: str) -> None:
    """It would cost the server megabytes for each connection; it is answered all the same, each time."""

    async def work(pool: Pool) -> list[object]:
        long = Step("SELECT 1 WHERE " + " OR ".join([f"{number} = $1::int" for number in range(3000)]), (b"7",))
        found: list[object] = [await read(pool, AS, long), await read(pool, AS, long)]
        largest = Step("SELECT max(length(statement))::text FROM pg_prepared_statements")
        ((size,),) = await read(pool, AS, largest)
        return [*found, int(size or 0) < 1000]

    assert with_pool(target_url, work) == [[[b"1"]], [[b"1"]], True]


def test_more_statements_than_are_kept(target_url: str) -> None:
    """Those of long ago are closed, on the server too, and come back when they are asked again."""

    async def work(pool: Pool) -> tuple[list[list[Record]], int]:
        steps = [Step(f"SELECT '{number}'") for number in range(130)]
        found = [await read(pool, (Step(f"SELECT {number % 40}"),), step) for number, step in enumerate([*steps, *steps])]
        ((count,),) = await read(pool, AS, Step("SELECT count(*)::text FROM pg_prepared_statements WHERE name ~ '^mg'"))
        return found, int(count or 0)

    found, count = with_pool(target_url, work)
    assert found == [[[b"%d" % number]] for number in range(130)] * 2
    assert count <= 100 + 30 + 3 + 2  # of lanes, openings, what every transaction begins with; two that are closed next time


def test_callers_share_the_statement_that_opens(target_url: str) -> None:
    """However many they are, a connection prepares it once; each is told of its own claims only, as it would be by text."""
    show = Step("SELECT current_user::text, current_setting('request.jwt.claims')")
    callers = [make_caller(None, "service_role", {"sub": f"it's {number} $1 \\ \u00e4"}) for number in range(40)]

    async def work(pool: Pool) -> tuple[list[list[Record]], list[tuple[str, str]], int]:
        found = [await read(pool, (caller.prelude.step,), show) for caller in callers]
        told = []
        for caller in callers[:3]:
            transaction = await Transaction.begin(pool, f"BEGIN;{caller.prelude.text}")
            told.append(tuple((await transaction.fetch(show.sql))[0]))
            await transaction.rollback()
        ((count,),) = await read(pool, AS, Step("SELECT count(*)::text FROM pg_prepared_statements WHERE statement ~ 'jwt.claims.,[$]'"))
        return found, told, int(count or 0)

    found, told, count = with_pool(target_url, work)
    assert [msgspec.json.decode(row[1] or b"") for ((*row,),) in found] == [caller.claims for caller in callers]
    assert [tuple(column.encode() for column in row) for row in told] == [tuple(row[0]) for row in found[:3]]
    assert count == 1


def test_a_changed_result_is_a_reason_to_try_again(target_url: str, table: psycopg.Connection) -> None:
    """A plan for fewer columns says so, and is made anew."""

    async def work(pool: Pool) -> list[object]:
        step = Step("SELECT * FROM t")
        first = await read(pool, AS, step)
        table.execute("ALTER TABLE t ADD b int")
        return [first, await code_of(read(pool, AS, step)), await read(pool, AS, step)]

    assert with_pool(target_url, work) == [[], "40001", []]


def test_a_connection_that_died_idle_is_replaced(target_url: str, table: psycopg.Connection) -> None:
    """Nobody hears of it, writer or reader, and nothing lands twice."""

    async def work(pool: Pool) -> None:
        await insert(pool, "{1}")
        _end_all(table)
        await insert(pool, "{2}")
        _end_all(table)
        await read(pool, AS, WHO)

    with_pool(target_url, work)
    assert stored(table) == [1, 2]


@pytest.mark.parametrize("arrived", [True, False])
def test_a_cut_commit_is_resolved_to_what_happened(target_url: str, table: psycopg.Connection, arrived: bool) -> None:
    """Cut after COMMIT arrived: success is reported. Cut before it: failure is. The row agrees."""
    with FaultyProxy(target_url) as proxy:
        proxy.cut(b"COMMIT", answered=arrived)
        code = with_pool(proxy.url, lambda pool: code_of(insert(pool, "{1}")), size=3)
        assert proxy.cuts == 1
    assert (code == "") is arrived
    assert stored(table) == ([1] if arrived else [])


def test_a_server_that_fell_silent_is_given_up(target_url: str) -> None:
    """Its connection is gone, with those that were idle, and the next is a new one."""

    async def work(pool: Pool) -> tuple[list[Record], str, list[Record]]:
        first = await read(pool, AS, WHO)
        proxy.hush()
        for wire in pool._wires.values():
            wire._patience = 0.1  # with this connection; a new one may take long to open on a busy machine
        return first, await code_of(read(pool, AS, WHO)), await read(pool, AS, WHO)

    with FaultyProxy(target_url) as proxy:
        first, code, again = with_pool(proxy.url, work)
    assert code == "PGRST003"
    assert first == again


def test_who_gives_up_leaves_nothing_open(target_url: str, table: psycopg.Connection) -> None:
    """A cancelled write is ended with its connection; its locks go, and the only place of the pool is free again."""

    async def work(pool: Pool) -> None:
        table.execute("BEGIN; LOCK TABLE t")
        task = asyncio.create_task(insert(pool, "{1}"))
        await _until(lambda: bool(table.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchall()))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        table.execute("ROLLBACK")
        await insert(pool, "{2}")

    with_pool(target_url, work)
    assert stored(table) == [2]


def test_a_connection_that_is_gone_takes_its_wire_along(target_url: str) -> None:
    """Connections come and go for months: none is held by what was known of it."""

    async def work(pool: Pool) -> list[weakref.ref[object]]:
        await read(pool, AS, WHO)
        connection = await pool.acquire()
        found = [weakref.ref[object](connection), weakref.ref[object](pool.wire(connection))]
        connection.terminate()
        pool.release(connection)
        del connection
        await asyncio.sleep(0)
        return found

    found = with_pool(target_url, work)
    gc.collect()
    assert [each() for each in found] == [None, None]


def _end_all(owner: psycopg.Connection) -> None:
    owner.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'mendgate' AND datname = current_database()"
    )


async def _until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < ends, "waited in vain"
        await asyncio.sleep(0.02)
