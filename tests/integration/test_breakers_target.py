"""The breaker before the target database: away means told at once; a caller's own trouble never counts; and it is back by itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress

import httpx
import psycopg
import pytest
import redis

from breakers import registry
from breakers.core.types import Outcome
from breakers.shared.keys import Names
from breakers.shared.leases import LEASE
from healing.core.types import Failure
from healing.gateway import target_gate
from healing.gateway.target import DatabaseError, Pool, Transaction
from resilience_site.embedded import EmbeddedPostgres
from resilience_site.wiring import namespace_of
from tests.faulty_proxy import FaultyProxy
from tests.gateway_process import Gateway
from tests.waiting import HANGS

PRELUDE = "BEGIN;SET LOCAL ROLE service_role"


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[registry.Registry]:
    """Breakers of this test alone, quick to come back."""
    mine = registry.Registry()
    monkeypatch.setattr(registry, "default", mine)
    monkeypatch.setitem(target_gate.SETTINGS, "timeout", 0.3)
    monkeypatch.setitem(target_gate.SETTINGS, "timeout_cap", 0.3)
    yield mine
    mine.close()


@asynccontextmanager
async def pool(url: str, size: int = 4, wait: float = 1.0, statement_timeout: float = 0.4) -> AsyncIterator[Pool]:
    made = Pool(url, size, wait, statement_timeout, target_gate.Gate())
    yield made
    await made.close()


async def run(on: Pool, sql: str = "SELECT 1") -> object:
    transaction = await Transaction.begin(on, PRELUDE)
    record = await transaction.fetchrow(sql)
    await transaction.commit()
    return record[0] if record else None


async def failure(doing: Awaitable[object]) -> Failure:
    with pytest.raises(DatabaseError) as caught:
        await doing
    return caught.value.failure


def view(own: registry.Registry) -> object:
    return own.get(target_gate.NAME).view()


def test_a_database_that_is_away_is_not_asked_again_until_its_time(own_registry: registry.Registry) -> None:
    async def story() -> None:
        async with pool("postgresql://nobody@127.0.0.1:1/none") as away:
            codes = [(await failure(run(away))).code for _ in range(10)]
            assert codes == ["08001"] * 10
            began = time.perf_counter()
            refusals = [await failure(run(away)) for _ in range(200)]
            assert (time.perf_counter() - began) / 200 < 0.002
            assert {(f.code, f.retry_after) for f in refusals} == {("PGRST001", 1)}
            assert "10 of 10 calls failed." in (refusals[0].details or "")

    asyncio.run(story())
    assert own_registry.get(target_gate.NAME).view().state == "open"


def test_it_serves_again_by_itself_once_the_database_is_back(own_registry: registry.Registry, target_url: str) -> None:
    async def story() -> None:
        async with pool("postgresql://nobody@127.0.0.1:1/none") as back:
            for _ in range(10):
                await failure(run(back))
            back.url = target_url
            assert (await failure(run(back))).code == "PGRST001"
            ends = time.perf_counter() + HANGS
            while await asyncio.gather(run(back), return_exceptions=True) != [1]:
                assert time.perf_counter() < ends
                await asyncio.sleep(0.05)
            assert [await run(back) for _ in range(5)] == [1] * 5

    asyncio.run(story())
    assert own_registry.get(target_gate.NAME).view().state == "closed"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1/0",
        "SELECT nothing FROM nowhere",
        "SELECT pg_sleep(2)",
        "DO $$ BEGIN RAISE SQLSTATE '55P03'; END $$",
        "DO $$ BEGIN RAISE SQLSTATE '08006'; END $$",
        "DO $$ BEGIN RAISE SQLSTATE '57P01'; END $$",
        "DO $$ BEGIN RAISE SQLSTATE '53300'; END $$",
    ],
    ids=[
        "an error",
        "an unknown table",
        "a statement that takes too long",
        "a lock that was not free",
        "a trigger whose own far server is away",
        "a function that says it was shut down",
        "a function that says it has no connections",
    ],
)
def test_a_callers_own_trouble_never_opens_it(own_registry: registry.Registry, target_url: str, sql: str) -> None:
    async def story() -> None:
        async with pool(target_url, size=12) as on:
            await asyncio.gather(*(failure(run(on, sql)) for _ in range(12)))
            assert await run(on) == 1

    asyncio.run(story())
    found = own_registry.get(target_gate.NAME).view()
    assert (found.state, found.failures) == ("closed", 0)


def test_one_callers_lock_wait_alone_never_opens_it(own_registry: registry.Registry, target_url: str, owner: psycopg.Connection) -> None:
    owner.execute("CREATE TABLE held (id int)")
    owner.execute("GRANT ALL ON held TO service_role")

    async def story() -> None:
        async with pool(target_url, size=12) as on:
            with owner.transaction():
                owner.execute("LOCK TABLE held")
                codes = [f.code for f in await asyncio.gather(*(failure(run(on, "SELECT count(*) FROM held")) for _ in range(11)))]
            assert set(codes) == {"57014"}
            assert await run(on) == 1

    asyncio.run(story())
    assert own_registry.get(target_gate.NAME).view().failures == 0


def test_callers_that_hang_up_say_nothing(own_registry: registry.Registry, target_url: str) -> None:
    async def story() -> None:
        async with pool(target_url, size=12, statement_timeout=5.0) as on:
            tasks = [asyncio.create_task(run(on, "SELECT pg_sleep(3)")) for _ in range(12)]
            await asyncio.sleep(0.5)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert await run(on) == 1

    asyncio.run(story())
    found = own_registry.get(target_gate.NAME).view()
    assert (found.state, found.failures) == ("closed", 0)


def test_no_pile_up_before_a_database_that_answers_nobody(
    own_registry: registry.Registry, target_url: str, owner: psycopg.Connection
) -> None:
    """Every connection waits for the same lock and nothing moves: those in line give up, and who comes later is told at once."""
    owner.execute("CREATE TABLE stuck (id int)")
    owner.execute("GRANT ALL ON stuck TO service_role")

    async def story() -> None:
        async with pool(target_url, size=2, wait=0.3, statement_timeout=5.0) as on:
            with owner.transaction():
                owner.execute("LOCK TABLE stuck")
                tasks = [asyncio.create_task(run(on, "SELECT count(*) FROM stuck")) for _ in range(40)]
                await asyncio.sleep(0.6)
                ends = time.perf_counter() + HANGS  # the first connections may take their time on a busy machine
                while (await failure(run(on))).code != "PGRST001":
                    assert time.perf_counter() < ends, "nobody was told at once"
            await asyncio.gather(*tasks, return_exceptions=True)
            while (answer := await asyncio.gather(run(on), return_exceptions=True)) != [1]:
                assert time.perf_counter() < ends, answer
                await asyncio.sleep(0.05)

    asyncio.run(story())


def test_connections_that_were_lost_count_and_stale_idle_ones_do_not(own_registry: registry.Registry, target_url: str) -> None:
    async def story() -> None:
        async with pool(proxy.url) as on:
            assert await run(on) == 1
            proxy.cut(b"RESET ALL", answered=False)  # the idle connection turns out to be dead: another is made, nobody notices
            assert await run(on) == 1
            assert own_registry.get(target_gate.NAME).view().failures == 0
            proxy.cut(b"SELECT 'cut me'", answered=False)
            assert (await failure(run(on, "SELECT 'cut me'"))).code.startswith("08")
            assert own_registry.get(target_gate.NAME).view().failures == 1

    with FaultyProxy(target_url) as proxy:
        asyncio.run(story())


def test_a_breaker_that_is_out_of_order_stops_nobody(monkeypatch: pytest.MonkeyPatch, target_url: str) -> None:
    async def broken() -> None:
        raise RuntimeError("out of order")

    async def story() -> None:
        async with pool(target_url) as on:
            assert on._gate is not None
            monkeypatch.setattr(on._gate._breaker, "aacquire", broken)
            assert [await run(on) for _ in range(3)] == [1, 1, 1]

    asyncio.run(story())


def test_every_permit_is_given_back(own_registry: registry.Registry, target_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a thousand uses of every kind none is out, and the pool holds no permit of a connection that is gone."""
    settled: list[Outcome] = []
    Permit = registry.Permit
    settle = Permit.settle

    def counting(self: object, outcome: Outcome, *rest: object, **named: object) -> None:
        settled.append(outcome)
        settle(self, outcome, *rest, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Permit, "settle", counting)

    async def one(on: Pool, number: int) -> None:
        task: Callable[[], Awaitable[object]] = lambda: run(on, "SELECT 1/0" if number % 3 == 0 else "SELECT 1")  # noqa: E731
        doing = asyncio.ensure_future(task())
        if number % 7 == 0:
            await asyncio.sleep(0.001)
            doing.cancel()
        await asyncio.gather(doing, return_exceptions=True)

    async def story() -> None:
        async with pool(target_url, wait=20.0) as on:
            await asyncio.gather(*(one(on, number) for number in range(300)))
            assert on._permits == {}

    asyncio.run(story())
    assert len(settled) >= 250
    assert Outcome.FAILURE not in settled


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway]) -> Gateway:
    """A web process whose target has a table."""
    gateway = make_gateway().start()
    gateway.sql("CREATE TABLE notes (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, body text); GRANT ALL ON notes TO service_role")
    gateway.manage("capture_schema")
    return gateway


@contextmanager
def away(gateway: Gateway, postgres: EmbeddedPostgres) -> Iterator[None]:
    """The target takes no connections."""
    name = gateway.target_url.rpartition("/")[2].partition("?")[0]
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as owner:
        owner.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])
        try:
            yield
        finally:
            owner.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')


def test_callers_get_a_503_with_whole_seconds_at_once_and_go_on_when_it_is_back(gateway: Gateway, postgres: EmbeddedPostgres) -> None:
    with gateway.client() as client:

        def write() -> httpx.Response:
            return client.post("/rest/v1/notes", json={"body": "x"})

        assert write().status_code == 201
        with away(gateway, postgres):
            ends = time.monotonic() + HANGS
            while (answer := write()).json()["code"] != "PGRST001":
                assert answer.status_code >= 500 and time.monotonic() < ends
            answers = [write() for _ in range(50)]
            refused = [each for each in answers if each.json()["code"] == "PGRST001"]
            assert refused
            assert {each.status_code for each in refused} == {503}
            assert all(1 <= int(each.headers["retry-after"]) <= 20 for each in refused)
            assert set(refused[0].json()) == {"code", "message", "details", "hint"}
            assert client.get("/readyz").status_code == 503
        back = time.monotonic()
        while write().status_code != 201:
            assert time.monotonic() - back < HANGS
            time.sleep(0.05)
        stored = gateway.sql("SELECT count(*) AS n FROM notes")[0]["n"]
        assert stored == 2, "nothing was written twice, nothing that was refused"


def test_a_web_process_that_is_killed_with_all_trials_in_its_hands_keeps_the_others_out_for_seconds(
    gateway: Gateway, postgres: EmbeddedPostgres
) -> None:
    """Its trials wait for a lock when it is killed; each might have taken 45 s."""
    settings, lock = target_gate.SETTINGS, "LOCK TABLE notes IN ACCESS EXCLUSIVE MODE"
    keys = Names(namespace_of(gateway.control_url)).of(target_gate.NAME)
    other = registry.Registry()
    other.connect(gateway.environment["REDIS_URL"], namespace=namespace_of(gateway.control_url))
    breaker = other.get(target_gate.NAME, **settings)
    with redis.Redis.from_url(gateway.environment["REDIS_URL"]) as valkey, ThreadPoolExecutor(8) as callers:
        with gateway.client() as client:
            client.timeout = HANGS

            def read(number: int) -> str:
                with suppress(httpx.HTTPError):  # it is killed meanwhile
                    return str(client.get("/rest/v1/notes", params={"limit": number + 1}).json())
                return ""

            with away(gateway, postgres):
                until(lambda: "PGRST001" in read(0))
                until(lambda: breaker.view().state in ("open", "half_open"))
            with psycopg.connect(gateway.owner_url) as owner:
                owner.execute(lock)

                def all_taken() -> bool:
                    callers.submit(read, valkey.zcard(keys.leases))
                    ended = int(valkey.hget(keys.state, "ok") or 0)
                    return bool(valkey.zcard(keys.leases) == settings["permits"] - ended)

                until(all_taken)
                gateway.kill9()
                seconds, micros = valkey.time()
                left = [until - (seconds + micros / 1e6) * 1000 for _, until in valkey.zrange(keys.leases, 0, -1, withscores=True)]
                assert left and max(left) <= LEASE * 1000 < settings["permit_seconds"] * 1000
        until(lambda: passes(breaker))
    other.close()


def passes(breaker: registry.Breaker) -> bool:
    """Whether a call is let through."""
    with suppress(registry.Open), breaker:
        return True
    return False


def until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + HANGS
    while not holds():
        assert time.monotonic() < ends, "it never came to hold"
        time.sleep(0.05)
