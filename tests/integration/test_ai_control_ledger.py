"""Limits hold over processes, budgets are passed by one call at most, and nobody is counted who was not served."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis
from msgspec.structs import replace

from breakers.gateway.ai import limits
from breakers.gateway.ai import valkey as valkey_way
from breakers.gateway.ai.call import Call
from breakers.gateway.ai.caller import AiCaller
from breakers.gateway.ai.errors import AiError
from breakers.gateway.ai.ledger import Admission, Ledger
from breakers.gateway.ai.settings import AiSettings
from breakers.gateway.ai.snapshot import AiSnapshot, Allowance, Model
from breakers.gateway.ai.spend import Usage, cost_of
from tests.integration.ai_rows import in_loop, run

KEY = "6f1de2a4-0d6a-4b0e-9f0a-3a1f4e5d6c7b"
ADA = AiCaller(KEY, "service_role", "ada")
MODEL = Model(name="big", provider="acme", upstream="big", input_price=1000.0, output_price=1000.0)  # a cent for ten tokens


@pytest.fixture
def settings(control_url: str, valkey_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AiSettings:
    """Patient: on a busy machine a process must not take Valkey for dead."""
    monkeypatch.setattr(valkey_way, "PATIENCE", 3.0)
    return AiSettings(database_url=control_url, redis_url=valkey_url, namespace="test", home=tmp_path)


@asynccontextmanager
async def processes(settings: AiSettings, count: int = 2) -> AsyncIterator[list[Ledger]]:
    ledgers = [Ledger(settings) for _ in range(count)]
    await asyncio.gather(*(each.start() for each in ledgers))
    try:
        yield ledgers
    finally:
        await asyncio.gather(*(each.stop() for each in ledgers))


def allowed(**limits_: object) -> AiSnapshot:
    return AiSnapshot(allowances={KEY: Allowance(key=KEY, **limits_)})  # type: ignore[arg-type]


async def tried(ledger: Ledger, snapshot: AiSnapshot, tokens: int = 10) -> Admission | AiError:
    try:
        return await ledger.admit(ADA, MODEL, tokens, snapshot)
    except AiError as error:
        return error


async def served(ledger: Ledger, admission: Admission, tokens: int, id: str) -> None:
    """It used so many."""
    usage = Usage(output_tokens=tokens)
    await ledger.release(admission, usage, MODEL)
    ledger.record(
        Call(id=id, at=time.time(), key=KEY, model_asked="big", model_served="big", output_tokens=tokens, cost=cost_of(MODEL, usage))
    )


@in_loop
async def test_requests_a_minute_are_one_limit_for_all_processes(settings: AiSettings) -> None:
    async with processes(settings) as ledgers:
        snapshot = allowed(requests_per_minute=5)
        answers = await asyncio.gather(*(tried(ledgers[n % 2], snapshot) for n in range(20)))
        admitted = [each for each in answers if isinstance(each, Admission)]
        refused = [each for each in answers if isinstance(each, AiError)]
        assert len(admitted) == 5 and {each.status for each in refused} == {429}
        headers = dict(refused[-1].headers)
        assert 10 <= int(headers["Retry-After"]) <= 12 and headers["x-ratelimit-remaining-requests"] == "0"
        assert refused[0].code == "rate_limit_exceeded" and "5 requests a minute" in refused[0].message
        assert sorted(int(dict(each.headers)["x-ratelimit-remaining-requests"]) for each in admitted) == [0, 1, 2, 3, 4]
        assert isinstance(await ledgers[0].admit(AiCaller("another", "anon"), MODEL, 10, snapshot), Admission)


@in_loop
async def test_tokens_that_were_not_used_are_given_back(settings: AiSettings) -> None:
    async with processes(settings) as (here, there):
        snapshot = allowed(tokens_per_minute=1000)
        first = await here.admit(ADA, MODEL, 900, snapshot)
        assert dict(first.headers)["x-ratelimit-remaining-tokens"] == "100"
        assert isinstance(await tried(there, snapshot, 200), AiError)
        await here.release(first, Usage(input_tokens=50))
        await here.release(first, Usage(input_tokens=50))
        second = await there.admit(ADA, MODEL, 200, snapshot)
        assert 740 <= int(dict(second.headers)["x-ratelimit-remaining-tokens"]) <= 800  # a minute's 1000 come back bit by bit
        never = await tried(here, snapshot, 1001)
        assert isinstance(never, AiError) and "never fits" in never.message and ("x-should-retry", "false") in never.headers


@in_loop
async def test_places_of_a_killed_process_are_free_after_their_lease(settings: AiSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LEASE_MS", 400)
    monkeypatch.setattr(limits, "RENEW_EVERY", 0.1)
    async with processes(settings, 1) as (alive,):
        killed = Ledger(settings)  # never started: nobody renews for it
        snapshot = allowed(concurrency=2)
        await killed.admit(ADA, MODEL, 10, snapshot)
        mine = await alive.admit(ADA, MODEL, 10, snapshot)
        assert isinstance(await tried(alive, snapshot), AiError)
        await asyncio.sleep(0.6)
        assert isinstance(await tried(alive, snapshot), Admission)  # the killed one's
        assert isinstance(await tried(alive, snapshot), AiError)  # mine was renewed
        asyncio.get_running_loop().call_later(0.03, lambda: asyncio.ensure_future(alive.release(mine, Usage())))
        assert isinstance(await tried(alive, snapshot), Admission)  # a place about to be free is waited for
        await killed.stop()


@in_loop
async def test_without_valkey_each_process_limits_for_itself_and_nobody_waits_for_it(settings: AiSettings) -> None:
    async with processes(replace(settings, redis_url="redis://127.0.0.1:1/0"), 1) as (ledger,):
        snapshot = allowed(requests_per_minute=3, tokens_per_minute=1000, concurrency=2)
        began = time.perf_counter()
        first, second, third = [await tried(ledger, snapshot) for _ in range(3)]
        assert isinstance(first, Admission) and isinstance(second, Admission)
        assert isinstance(third, AiError) and "under way" in third.message
        await ledger.release(first, Usage())
        await ledger.release(second, Usage())
        assert isinstance(await tried(ledger, snapshot), Admission)
        fifth = await tried(ledger, snapshot)
        assert isinstance(fifth, AiError) and "3 requests a minute" in fifth.message
        assert time.perf_counter() - began < 1.0


@in_loop
async def test_a_hard_budget_is_passed_by_one_call_at_most_over_all_processes(settings: AiSettings, control_url: str) -> None:
    snapshot = allowed(soft_usd=0.5, hard_usd=1.0)
    async with processes(settings, 3) as ledgers:
        answers = await asyncio.gather(*(tried(ledgers[n % 3], snapshot, tokens=300) for n in range(30)))  # 0.30 $ each, at most
        admitted = [each for each in answers if isinstance(each, Admission)]
        assert len(admitted) == 4  # after three 0.90 $ are held, which is below 1.00
        refused = next(each for each in answers if isinstance(each, AiError))
        assert refused.code == "insufficient_quota" and refused.status == 429 and "1.00 $ a month" in refused.message
        for n, admission in enumerate(admitted):
            await served(ledgers[n % 3], admission, 290, f"00000000-0000-4000-8000-00000000000{n}")
        assert isinstance(await tried(ledgers[0], snapshot, 300), AiError)
    assert float(run(control_url, "SELECT sum(cost) AS spent FROM breakers_aispend")[0]["spent"]) == pytest.approx(1.16)
    with redis.Redis.from_url(settings.redis_url) as valkey:
        valkey.flushall()
    async with processes(settings, 1) as (fresh,):  # it knows by the database
        assert isinstance(await tried(fresh, snapshot), AiError)
        free = replace(MODEL, input_price=0.0, output_price=0.0)
        assert await fresh.admit(ADA, free, 10, snapshot)  # what costs nothing is not held by a budget


@in_loop
async def test_a_free_model_with_a_dear_fallback_is_held_by_a_budget(settings: AiSettings) -> None:
    free = replace(MODEL, name="free", input_price=0.0, output_price=0.0, fallbacks=("big",))
    snapshot = replace(allowed(hard_usd=1.0), models={"big": MODEL, "free": free})
    async with processes(settings, 1) as (ledger,):
        first = await ledger.admit(ADA, free, 10, snapshot, likely=1000)
        with pytest.raises(AiError):
            await ledger.admit(ADA, free, 10, snapshot)
        await ledger.release(first, Usage(), MODEL)
        second = await ledger.admit(ADA, free, 10, snapshot)  # nothing was spent
        asyncio.get_running_loop().call_later(0.03, lambda: asyncio.ensure_future(ledger.release(second, Usage())))
        assert await ledger.admit(ADA, free, 10, snapshot, likely=100_000)


@in_loop
async def test_what_a_call_cost_is_shared_once_though_it_is_said_twice(settings: AiSettings) -> None:
    snapshot = allowed(hard_usd=1.0)
    async with processes(settings) as (here, there):
        admission = await here.admit(ADA, MODEL, 600, snapshot)
        for _ in range(3):  # an answer of Valkey that is late is asked for again
            admission.released = False
            await here.release(admission, Usage(output_tokens=400))
        assert (await there.admit(ADA, MODEL, 10, snapshot)).id


@in_loop
async def test_a_budget_holds_without_valkey_by_what_this_process_knows(settings: AiSettings) -> None:
    async with processes(replace(settings, redis_url="redis://127.0.0.1:1/0"), 1) as (ledger,):
        snapshot = allowed(hard_usd=1.0)
        for n in range(2):
            admission = await ledger.admit(ADA, MODEL, 600, snapshot)
            await served(ledger, admission, 600, f"10000000-0000-4000-8000-00000000000{n}")
        assert isinstance(await tried(ledger, snapshot), AiError)
        await ledger.journal.flush()
        assert isinstance(await tried(ledger, snapshot), AiError)


@in_loop
async def test_above_the_soft_budget_each_answer_says_so_and_a_person_is_told_once(settings: AiSettings, control_url: str) -> None:
    snapshot = allowed(soft_usd=0.5, period="day")
    async with processes(settings) as ledgers:
        first = await ledgers[0].admit(ADA, MODEL, 600, snapshot)
        assert first.headers == ()
        await served(ledgers[0], first, 600, "20000000-0000-4000-8000-000000000000")
        for ledger in (*ledgers, *ledgers):
            admission = await ledger.admit(ADA, MODEL, 10, snapshot)
            assert dict(admission.headers)["Mendgate-Budget"].startswith("warning; spent=0.6")
            await ledger.release(admission, Usage())
    told = run(control_url, "SELECT * FROM breakers_ainotice")
    assert len(told) == 1 and told[0]["kind"] == "soft" and float(told[0]["budget"]) == 0.5
