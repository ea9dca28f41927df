"""Healing asks: by schema, never canned, behind a breaker of its own, from the web process and from a worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from breakers.core.types import Settings, State
from breakers.gateway.ai.ask import Asker, Unanswered
from breakers.gateway.ai.settings import AiSettings
from breakers.gateway.ai.snapshot import Canned
from tests.ai_calls import Calls, ai_calls, provider, snapshot
from tests.ai_faults import FarAi, Rule, far_ai
from tests.integration.ai_rows import in_loop
from tests.waiting import HANGS

MESSAGES = [{"role": "user", "content": 'say:{"fix":[]}'}]
SCHEMA = {"type": "object", "properties": {"fix": {"type": "array"}}, "required": ["fix"]}


@pytest.fixture(scope="module")
def server() -> Iterator[FarAi]:
    with far_ai() as far:
        yield far


@pytest.fixture
def far(server: FarAi) -> FarAi:
    server.reset()
    return server


def asker(call: Calls) -> Asker:
    return Asker(call.gateway.settings, call.engine)


async def ask(of: Asker, deadline: float = 2.0) -> str:
    return (await of.ask(MESSAGES, schema=SCHEMA, deadline=deadline, max_tokens=50)).content


@in_loop
async def test_an_answer_by_schema_and_what_it_cost(far: FarAi):
    async with ai_calls(snapshot(provider("a", far.base_url(), "k"), default_model="a")) as call:
        answered = await asker(call).ask(MESSAGES, schema=SCHEMA, deadline=2.0, max_tokens=50, temperature=0.5)
    sent, record = far.asked[-1].body, call.recorded[-1]
    assert answered.content == '{"fix":[]}' and (answered.provider, answered.model) == ("a", "a")
    assert (
        sent["response_format"]["json_schema"]["schema"] == SCHEMA
        and sent["max_tokens"] == 50
        and sent["temperature"] == 0.5
        and "stream" not in sent
    )
    assert (record.purpose, record.key, record.id, record.outcome) == ("healing", None, answered.call_id, "ok")
    assert record.output_tokens == answered.output_tokens > 0


@in_loop
async def test_it_is_never_given_a_canned_answer(far: FarAi):
    rows = snapshot(provider("a", far.base_url("500")), default_model="a", canned=(Canned(id="1", content="hi"),))
    async with ai_calls(rows) as call:
        with pytest.raises(Unanswered) as caught:
            await ask(asker(call))
    assert "failed" in caught.value.reason and not caught.value.breaker_open and call.recorded[-1].outcome == "failed"


@in_loop
async def test_its_own_breaker_opens_and_leaves_callers_alone(far: FarAi):
    far.plan(Rule("500", times=5))
    rows = snapshot(provider("a", far.base_url()), default_model="a", retry_floor=0, retry_ratio=0.0)
    async with ai_calls(rows) as call:
        call.breaker("ai:a").configure(Settings(failure_threshold=99))
        for _ in range(5):
            with pytest.raises(Unanswered):
                await ask(asker(call))
        asked = len(far.asked)
        with pytest.raises(Unanswered) as caught:
            await ask(asker(call))
        assert caught.value.breaker_open and (caught.value.retry_after or 0) > 1 and len(far.asked) == asked
        assert call.breaker("healing-ai").view().state is State.OPEN
        assert (await call({"model": "a", "messages": MESSAGES})).status == 200


@in_loop
async def test_it_does_not_wait_beyond_its_deadline(far: FarAi):
    async with ai_calls(snapshot(provider("a", far.base_url("header-hang")), default_model="a")) as call:
        began = time.monotonic()
        with pytest.raises(Unanswered):
            await ask(asker(call), deadline=0.3)
    assert time.monotonic() - began < HANGS, "the provider would never answer"


@in_loop
async def test_without_a_provider_it_says_so_at_once():
    async with ai_calls(snapshot()) as call:
        with pytest.raises(Unanswered, match="No AI provider"):
            await ask(asker(call))


def test_a_worker_asks_in_a_loop_of_its_own_each_time(far: FarAi):
    settings = AiSettings(base_url=far.base_url(), api_key="k", model="m")

    async def job() -> str:
        async with Asker(settings) as of:
            return await ask(of)

    assert [asyncio.run(job()) for _ in range(2)] == ['{"fix":[]}'] * 2
    assert {each.key for each in far.asked} == {"k"}
