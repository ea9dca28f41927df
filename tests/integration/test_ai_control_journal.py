"""Every call is counted once, whatever happens to the connection, and what was said is stored only redacted and only when asked."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from pathlib import Path

import psycopg
import pytest
from msgspec.structs import replace

from breakers.gateway.ai import journal as journals
from breakers.gateway.ai.call import Attempt, Call, Row, row_of
from breakers.gateway.ai.ledger import Ledger
from breakers.gateway.ai.settings import AiSettings
from breakers.gateway.ai.snapshot import AiSnapshot
from resilience_site.embedded_postgres import EmbeddedPostgres
from tests.faulty_proxy import FaultyProxy
from tests.integration.ai_rows import in_loop, run
from tests.waiting import HANGS

KEY = str(uuid.UUID(int=7))
SUMS = "SELECT sum(requests) AS requests, sum(cost) AS cost, sum(input_tokens) AS tokens FROM breakers_aispend"


@pytest.fixture
def settings(control_url: str, tmp_path: Path) -> AiSettings:
    return AiSettings(database_url=control_url, home=tmp_path)


def a_call(**given: object) -> Call:
    facts = {"id": str(uuid.uuid4()), "at": time.time(), "key": KEY, "model_asked": "big", "model_served": "big", "provider": "acme"}
    return Call(**{**facts, "input_tokens": 10, "cost": 0.25, **given})  # type: ignore[arg-type]


def counted(control_url: str) -> tuple[int, float, int]:
    row = run(control_url, SUMS)[0]
    return int(row["requests"] or 0), float(row["cost"] or 0), int(row["tokens"] or 0)


@in_loop
async def test_calls_are_in_the_log_and_in_the_days_sums_within_a_second(settings: AiSettings, control_url: str) -> None:
    ledger = Ledger(settings)
    await ledger.start()
    tried = [Attempt(provider="acme", model="big", outcome="failed", reason="500 for ada@example.com", seconds=0.2)]
    ledger.record(a_call(attempts=tried, outcome="fallback", model_served="small", saved_cost=0.1, first_token_seconds=0.3))
    ledger.record(a_call(outcome="failed", status=502, cost=0.0))
    ledger.record(a_call(key=None, purpose="healing", error="no\0thing"))
    async with asyncio.timeout(HANGS):
        while counted(control_url)[0] < 3:
            await asyncio.sleep(0.05)
    row = run(control_url, "SELECT * FROM breakers_aicall WHERE outcome = 'fallback'")[0]
    assert row["attempts"][0]["reason"] == "500 for [email]" and row["key"] == KEY and abs(row["at"].timestamp() - time.time()) < HANGS
    by_model = {(each["key"], each["model"]): each for each in run(control_url, "SELECT * FROM breakers_aispend")}
    assert by_model[KEY, "small"]["rescued"] == 1 and by_model[KEY, "big"]["failed"] == 1
    assert by_model["healing", "big"]["purpose"] == "healing"
    await ledger.stop()


@in_loop
async def test_a_flush_whose_answer_was_cut_off_is_not_counted_twice(settings: AiSettings, control_url: str) -> None:
    with FaultyProxy(control_url) as proxy:
        ledger = Ledger(replace(settings, database_url=proxy.url))
        for _ in range(20):
            ledger.record(a_call())
        proxy.cut(b"INSERT INTO breakers_aicall", answered=True)  # the statement that is prepared
        await ledger.journal.flush()
        proxy.cut(str(ledger.journal._sending[0].id).encode(), answered=True)  # the values: executed, and committed
        await ledger.journal.flush()
        assert proxy.cuts == 2 and counted(control_url) == (20, 5.0, 200)
        assert ledger.journal._sending  # it does not know that it is there
        ledger.record(a_call())
        await ledger.journal.flush()
        assert counted(control_url) == (21, 5.25, 210)
        await ledger.stop()


@in_loop
async def test_several_processes_add_to_the_same_sums_at_once(settings: AiSettings, control_url: str) -> None:
    ledgers = [Ledger(settings) for _ in range(4)]
    for ledger in ledgers:
        for n in range(300):
            ledger.record(a_call(model_served=f"m{n % 7}"))
    await asyncio.gather(*(each.stop() for each in ledgers))
    assert counted(control_url) == (1200, 300.0, 12_000)


@in_loop
async def test_while_the_database_is_away_memory_is_bounded_and_nothing_spent_is_lost(
    settings: AiSettings, control_url: str, postgres: EmbeddedPostgres, control_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journals, "MOST", 5)
    ledger = Ledger(settings)
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as owner:
        owner.execute(f'ALTER DATABASE "{control_name}" ALLOW_CONNECTIONS false')
        for n in range(1005):
            ledger.record(a_call(seconds=1.0, outcome="ok" if n % 2 else "canned", request_body=b"x" * 1000), AiSnapshot(log_bodies=True))
        await ledger.journal.flush()
        owner.execute(f'ALTER DATABASE "{control_name}" ALLOW_CONNECTIONS true')
    assert len(ledger.journal._waiting) + len(ledger.journal._sending) <= 7 and ledger.journal.dropped == 0
    await ledger.stop()
    assert counted(control_url) == (1005, 251.25, 10_050)
    assert run(control_url, "SELECT sum(seconds) AS s FROM breakers_aispend")[0]["s"] == pytest.approx(1005)
    assert run(control_url, "SELECT count(*) AS n FROM breakers_aicall")[0]["n"] == 7


@in_loop
async def test_bodies_are_stored_redacted_and_only_where_that_is_switched_on(settings: AiSettings, control_url: str) -> None:
    ledger = Ledger(settings)
    body = b'{"messages":[{"role":"user","content":"I am ada@example.com"}]}'
    ledger.record(a_call(model_asked="logged", request_body=body, answer_body=b"data: {}"), AiSnapshot(log_bodies=True))
    ledger.record(a_call(model_asked="silent", request_body=body, answer_body=b"data: {}"), AiSnapshot())
    await ledger.stop()
    rows = {row["model_asked"]: row for row in run(control_url, "SELECT * FROM breakers_aicall")}
    assert "I am [email]" in rows["logged"]["request_body"] and rows["logged"]["answer_body"] == "data: {}"
    assert rows["silent"]["request_body"] == rows["silent"]["answer_body"] == ""


@in_loop
async def test_a_flush_that_is_given_up_while_it_redacts_loses_nothing(
    settings: AiSettings, control_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, redacting = Ledger(settings), threading.Event()

    def slowly(call: Call, calls: int = 1) -> Row:
        redacting.set()
        time.sleep(0.05)
        return row_of(call, calls)

    monkeypatch.setattr(journals, "row_of", slowly)
    ledger.record(a_call(request_body=b"{}"), AiSnapshot(log_bodies=True))
    flushing = asyncio.create_task(ledger.journal.flush())
    await asyncio.to_thread(redacting.wait)
    flushing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flushing
    await ledger.stop()
    assert counted(control_url)[0] == 1 and ledger.journal._bodies == 0


@in_loop
async def test_a_record_that_the_database_does_not_take_does_not_hold_up_the_others(settings: AiSettings, control_url: str) -> None:
    ledger = Ledger(settings)
    ledger.record(a_call(id="no uuid"))
    ledger.record(a_call(input_tokens=10**30))
    ledger.record(a_call())
    await ledger.stop()
    assert counted(control_url)[0] == 1 and ledger.journal.dropped == 2
