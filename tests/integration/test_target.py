"""Transactions as the caller, and commits whose answer was cut off."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from healing.gateway.prelude import Prelude
from healing.gateway.services import Services
from healing.gateway.target import DatabaseError, Pool, Transaction
from schema_monitor.listening import GONE
from tests.faulty_proxy import FaultyProxy
from tests.waiting import HANGS

INSERT = "WITH w AS (INSERT INTO t(a) VALUES ($1::text::int) RETURNING 1) SELECT count(*) AS n, pg_current_xact_id()::text AS xid FROM w"
AS = Prelude(("role", "request.jwt.claims"), (b"service_role", b'{"role":"service_role"}'))
PRELUDE = f"BEGIN;{AS.text}"


@asynccontextmanager
async def pool_at(url: str, size: int = 3, wait: float = 0.3) -> AsyncIterator[Pool]:
    """A pool that is closed at the end."""
    pool = Pool(url, size, wait, 5.0)
    try:
        yield pool
    finally:
        await pool.close()


@pytest.fixture
def table(owner: psycopg.Connection) -> psycopg.Connection:
    """A table t(a int) with a deferred check."""
    owner.execute("CREATE TABLE t(a int UNIQUE DEFERRABLE INITIALLY DEFERRED)")
    return owner


def stored(owner: psycopg.Connection) -> list[int]:
    """What is in the table."""
    return [row[0] for row in owner.execute("SELECT a FROM t ORDER BY a")]


async def outcome(pool: Pool) -> str:
    """The code that an insert fails with; '' when it is committed."""
    try:
        await insert(pool, "1")
    except DatabaseError as error:
        return error.failure.code
    return ""


async def insert(pool: Pool, value: str, before: str = "") -> None:
    """One insert and its commit."""
    transaction = await Transaction.begin(pool, PRELUDE)
    record = await transaction.fetchrow(INSERT, value)
    assert record is not None
    await transaction.commit(before, record["xid"])


@pytest.mark.parametrize("arrived", [True, False])
def test_a_cut_commit_is_resolved_to_what_happened(target_url: str, table: psycopg.Connection, arrived: bool) -> None:
    """Cut after COMMIT arrived: success is reported. Cut before it: failure is reported. The row agrees."""

    async def scenario() -> bool:
        with FaultyProxy(target_url) as proxy:
            async with pool_at(proxy.url, wait=5) as pool:
                proxy.cut(b"COMMIT", answered=arrived)
                code = await outcome(pool)
                assert proxy.cuts == 1
                return code == ""

    assert asyncio.run(scenario()) is arrived
    assert stored(table) == ([1] if arrived else [])


def test_a_dead_idle_connection_is_replaced_without_an_error(target_url: str, table: psycopg.Connection) -> None:
    """The pooler restarted while we were idle: nothing had been sent, so nothing is lost."""

    async def scenario() -> None:
        async with pool_at(target_url) as pool:
            await insert(pool, "1")
            table.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'mendgate' AND datname = current_database()"
            )
            await asyncio.sleep(0.1)
            await insert(pool, "2")

    asyncio.run(scenario())
    assert stored(table) == [1, 2]


def test_a_connection_whose_end_was_only_announced_is_replaced_without_an_error(target_url: str, table: psycopg.Connection) -> None:
    """The server said that it ends it, and the socket is still open: the driver's word for that is one of a lost connection."""

    async def scenario() -> None:
        async with announcing(target_url) as (url, announced, let_go), pool_at(url, wait=HANGS) as pool:
            await insert(pool, "1")
            connection = await pool.acquire()
            table.execute("SELECT pg_terminate_backend(%s)", [connection.get_server_pid()])
            await asyncio.wait_for(announced.wait(), HANGS)
            await asyncio.sleep(0.05)  # it is in our own socket: the loop reads it in its next round
            with pytest.raises(GONE):
                await connection.execute("SELECT 1")
            pool.release(connection)
            await insert(pool, "2")
            let_go.set()

    asyncio.run(scenario())
    assert stored(table) == [1, 2]


@asynccontextmanager
async def announcing(url: str) -> AsyncIterator[tuple[str, asyncio.Event, asyncio.Event]]:
    """The same server behind a relay that keeps the client's side open when the server's is closed (the first event says that it was),
    until the second."""
    parts, closed, let_go = urlsplit(url), asyncio.Event(), asyncio.Event()

    async def forward(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, onward = await asyncio.open_connection(parts.hostname, parts.port)
        onto = asyncio.create_task(forward(reader, onward))
        with suppress(OSError):
            await forward(there, writer)
        closed.set()
        await let_go.wait()
        for each in (onward, writer):
            each.transport.abort()
        await asyncio.gather(onto, return_exceptions=True)

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{port}")), closed, let_go


def test_a_session_that_may_only_read_is_not_kept_once_it_said_so(target_url: str, table: psycopg.Connection) -> None:
    """The server took no writes when it was opened (a failover, a full disk); it does again, and nobody ends the session."""

    async def scenario() -> list[str]:
        async with pool_at(target_url, size=1, wait=HANGS) as pool:
            table.execute("ALTER ROLE authenticator SET default_transaction_read_only = on")
            try:
                while_closed = await outcome(pool)
            finally:
                table.execute("ALTER ROLE authenticator RESET default_transaction_read_only")
            reading = await Transaction.begin(pool, "BEGIN READ ONLY")
            pid = await reading.fetchrow("SELECT pg_backend_pid() AS pid")
            with pytest.raises(DatabaseError):
                await reading.fetchrow("SELECT nextval(pg_get_serial_sequence('numbered', 'n'))")
            after = await Transaction.begin(pool, "BEGIN READ ONLY")
            assert await after.fetchrow("SELECT pg_backend_pid() AS pid") == pid, "a caller's own mistake costs no connection"
            await after.commit()
            return [while_closed, await outcome(pool)]

    table.execute("CREATE TABLE numbered (n serial)")
    assert asyncio.run(scenario()) == ["25006", ""]
    assert stored(table) == [1]


def test_role_and_claims_end_with_the_transaction(target_url: str, table: psycopg.Connection) -> None:
    """The next user of the connection is nobody again."""

    async def scenario() -> tuple[str, str]:
        async with pool_at(target_url, size=1) as pool:
            await insert(pool, "1")
            async with pool.connection() as connection:
                record = await connection.fetchrow("SELECT current_user::text, coalesce(current_setting('request.jwt.claims', true), '')")
                assert record is not None
                return record[0], record[1]

    assert asyncio.run(scenario()) == ("authenticator", "")


def test_a_deferred_constraint_fails_the_commit_with_its_own_error(target_url: str, table: psycopg.Connection) -> None:
    """With and without statements of ours before the commit."""

    async def scenario(before: str) -> str:
        async with pool_at(target_url) as pool:
            await insert(pool, "1") if not stored(table) else None
            with pytest.raises(DatabaseError) as caught:
                await insert(pool, "1", before)
            return caught.value.failure.code

    assert asyncio.run(scenario("")) == "23505"
    assert asyncio.run(scenario("SELECT 1;")) == "23505"
    assert stored(table) == [1]


def test_a_deferred_trigger_runs_as_the_caller_even_when_we_write_a_receipt(target_url: str, table: psycopg.Connection) -> None:
    """RESET ROLE before the receipt must not lend our rights to a trigger."""
    table.execute(
        """CREATE TABLE seen(who text); GRANT ALL ON seen TO service_role;
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql
            AS $$ BEGIN INSERT INTO public.seen VALUES (current_user); RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER late AFTER INSERT ON t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note()"""
    )

    async def scenario() -> None:
        async with pool_at(target_url) as pool:
            await insert(pool, "1", "SELECT 1;")

    asyncio.run(scenario())
    assert [row[0] for row in table.execute("SELECT who FROM seen")] == ["service_role"]


def test_who_waits_too_long_for_a_connection_gets_a_clear_failure(target_url: str, table: psycopg.Connection) -> None:
    """Back-pressure, not a pile; and the pool is whole again afterwards."""

    async def scenario() -> str:
        async with pool_at(target_url, size=1, wait=0.1) as pool:
            held = await Transaction.begin(pool, PRELUDE)
            with pytest.raises(DatabaseError) as caught:
                await Transaction.begin(pool, PRELUDE)
            await held.rollback()
            await insert(pool, "1")
            return caught.value.failure.code

    assert asyncio.run(scenario()) == "53300"
    assert stored(table) == [1]


def test_a_transaction_that_is_over_touches_nobody_elses(target_url: str, table: psycopg.Connection) -> None:
    """Its connection was given back and is in the middle of another caller's transaction by now."""

    async def scenario() -> list[str]:
        async with pool_at(target_url, size=1, wait=3) as pool:
            over = await Transaction.begin(pool, PRELUDE)
            await over.rollback()
            other = await Transaction.begin(pool, PRELUDE)
            codes = []
            for touch in (
                lambda: over.fetchrow(INSERT, "1"),
                lambda: over.try_fetchrow(INSERT, "1"),
                lambda: over.execute("COMMIT"),
                over.commit,
            ):
                with pytest.raises(DatabaseError) as caught:
                    await touch()
                codes.append(caught.value.failure.code)
            await other.fetchrow(INSERT, "2")
            await other.commit()
            return codes

    assert asyncio.run(scenario()) == ["08003"] * 4
    assert stored(table) == [2]


def test_a_connection_given_to_one_who_hung_up_goes_to_the_next(target_url: str, table: psycopg.Connection) -> None:
    """Hung up between being given it and taking it: nobody behind waits for nothing."""

    async def scenario() -> list[object]:
        async with pool_at(target_url, size=1) as pool:
            held = await pool.acquire()
            tasks = [asyncio.create_task(insert(pool, str(number))) for number in range(3)]
            await asyncio.sleep(0)
            pool.release(held)
            tasks[0].cancel()
            return await asyncio.gather(*tasks, return_exceptions=True)

    answers = asyncio.run(scenario())
    assert isinstance(answers[0], asyncio.CancelledError)
    assert answers[1:] == [None, None]
    assert stored(table) == [1, 2]


def test_one_who_asks_again_at_once_does_not_overtake_those_who_wait(target_url: str, table: psycopg.Connection) -> None:
    """A busy lane gives its connection back and asks for one in the same breath; a read must still get its turn."""

    async def scenario() -> list[object]:
        async with pool_at(target_url, size=1, wait=1.0) as pool:

            async def busy() -> None:
                while True:
                    async with pool.connection() as connection:
                        await connection.execute("SELECT 1")

            lane = asyncio.create_task(busy())
            await asyncio.sleep(0.05)
            async with asyncio.timeout(3):
                answers = await asyncio.gather(*(insert(pool, str(number)) for number in range(5)), return_exceptions=True)
            lane.cancel()
            await asyncio.gather(lane, return_exceptions=True)
            return answers

    assert asyncio.run(scenario()) == [None] * 5
    assert stored(table) == [0, 1, 2, 3, 4]


def test_who_waits_for_a_connection_that_cannot_be_made_tries_at_once(target_url: str) -> None:
    """The place of one that failed is the next one's: nobody waits in line for a database that refuses everybody."""

    async def scenario() -> tuple[list[str], float]:
        async with pool_at("postgresql://nobody@127.0.0.1:1/none", size=1, wait=HANGS) as pool:
            began = time.perf_counter()
            return list(await asyncio.gather(*(outcome(pool) for _ in range(5)))), time.perf_counter() - began

    codes, seconds = asyncio.run(scenario())
    assert codes == ["08001"] * 5
    assert seconds < HANGS


def test_a_cancelled_statement_leaves_nothing_behind(target_url: str, table: psycopg.Connection) -> None:
    """The connection is thrown away rather than given to the next caller in the middle of something."""

    async def scenario() -> None:
        async with pool_at(target_url, size=1, wait=3) as pool:
            transaction = await Transaction.begin(pool, PRELUDE)
            await transaction.fetchrow(INSERT, "1")
            with pytest.raises(TimeoutError):
                await _limited(lambda: transaction.fetchrow("SELECT pg_sleep(5)"))
            await insert(pool, "2")

    asyncio.run(scenario())
    assert stored(table) == [2]


async def _limited(run: Callable[[], Awaitable[object]]) -> None:
    async with asyncio.timeout(0.2):
        await run()


def test_a_cut_while_our_schema_is_looked_for_is_a_lost_connection(target_url: str) -> None:
    """A write with an Idempotency-Key asks first: it is told that the database is away, not that the gateway is broken."""

    async def scenario() -> str:
        with FaultyProxy(target_url) as proxy:
            async with pool_at(proxy.url, wait=5) as pool:
                services = Services.__new__(Services)
                services.pool, services._ours = pool, (False, 0.0)
                await insert_nothing(pool)
                proxy.cut(b"has_schema_privilege", answered=False)
                with pytest.raises(DatabaseError) as error:
                    await services.has_our_schema()
                assert proxy.cuts == 1
                return error.value.failure.code

    assert asyncio.run(scenario()).startswith("08")


async def insert_nothing(pool: Pool) -> None:
    """A transaction that is rolled back: the pool has a connection."""
    await (await Transaction.begin(pool, PRELUDE)).rollback()
