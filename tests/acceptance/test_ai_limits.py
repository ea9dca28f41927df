"""What callers may use, what it costs, the cache, and embeddings: from outside, with rows as an operator would enter them."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import count
from typing import Any

import openai
import pytest
from openai import OpenAI

from breakers.gateway.ai.snapshot import AiSnapshot, Allowance, Limits, Model
from tests import ai_rows
from tests.acceptance.ai_stage import AiStage, Told, ai_stage, until
from tests.ai_faults import Rule
from tests.ai_rows import model, provider, snapshot
from tests.gateway_process import Gateway

names = count(1)
PATIENT = Limits(connect=2, first_token=10, stall=10, total=20)
ASK: Any = [{"role": "user", "content": "hello"}]


@pytest.fixture(scope="module")
def stage(make_gateway: Callable[..., Gateway]) -> Iterator[AiStage]:
    with ai_stage(make_gateway) as stage:
        vectors = Model(name="vectors", provider="good", upstream="vectors-3", kind="embedding", input_price=1)
        providers = [provider("good", stage.far.base_url(), "sk-good", limits=PATIENT)]
        stage.put(snapshot(providers, [model("well", "good", input_price=100, output_price=1000), vectors]))
        ai_rows.disable(stage.gateway, "ai:good")
        until(lambda: stage.breaker("ai:good").get("state") == "disabled")
        yield stage


@pytest.fixture(autouse=True)
def fresh(stage: AiStage) -> None:
    stage.far.reset()


class Caller:
    """An API key of its own with an allowance."""

    def __init__(self, stage: AiStage, **allowance: Any) -> None:
        self.stage, self.key = stage, stage.gateway.make_key(name=f"caller {next(names)}")
        if allowance:
            self.id = str(stage.gateway.control("SELECT id FROM healing_apikey ORDER BY created_at DESC LIMIT 1")[0]["id"])
            stage.put(AiSnapshot(allowances={self.id: Allowance(key=self.id, **allowance)}, retry_floor=1000))

    def ask(self, **more: Any) -> Told:
        """One question with this key."""
        return self.stage.ask("well", key=self.key, **more)

    def sdk(self) -> OpenAI:
        """openai-python with this key."""
        return OpenAI(base_url=f"{self.stage.gateway.base_url}/v1", api_key=self.key, max_retries=0, timeout=20)


def test_more_requests_than_allowed_are_refused_with_the_time_to_wait(stage: AiStage) -> None:
    caller = Caller(stage, requests_per_minute=3)
    told = [caller.ask() for _ in range(5)]
    assert [each.status for each in told] == [200, 200, 200, 429, 429]
    assert [each.headers["x-ratelimit-remaining-requests"] for each in told[:3]] == ["2", "1", "0"]
    assert told[0].headers["x-ratelimit-limit-requests"] == "3"
    assert told[3].error is not None and told[3].error["code"] == "rate_limit_exceeded"
    assert 0 < float(told[3].headers["retry-after"]) <= 60
    assert len(stage.asked()) == 3, "what is refused does not go up"
    assert Caller(stage).ask().status == 200, "others are not touched"


def test_more_tokens_than_allowed_are_refused(stage: AiStage) -> None:
    caller = Caller(stage, tokens_per_minute=100)
    assert caller.ask(max_tokens=20).status == 200
    refused = caller.ask(max_tokens=5000)
    assert refused.status == 429 and refused.error is not None and refused.error["code"] == "rate_limit_exceeded"


def test_more_at_a_time_than_allowed_are_refused_and_places_come_back(stage: AiStage) -> None:
    caller = Caller(stage, concurrency=2)
    stage.far.way.first = 0.5
    with ThreadPoolExecutor(5) as pool:
        found = sorted(each.status for each in pool.map(lambda _: caller.ask(), range(5)))
    assert found == [200, 200, 429, 429, 429]
    stage.far.plan(Rule("500"))
    stage.far.way.first = 0
    assert {caller.ask(stream=stream).status for stream in (True, False, True)} == {502}
    stage.far.plan()
    assert [caller.ask().status for _ in range(3)] == [200, 200, 200], "a failed call gives its place back, too"


def test_a_spent_budget_is_told_as_such(stage: AiStage) -> None:
    caller = Caller(stage, hard_usd=0.01, soft_usd=0.005)
    assert caller.ask().status == 200
    until(lambda: caller.ask().status == 429)
    with caller.sdk() as ai, pytest.raises(openai.RateLimitError) as caught:
        ai.chat.completions.create(model="well", messages=ASK)
    assert caught.value.code == "insufficient_quota"


def test_what_a_call_cost_is_counted_once(stage: AiStage) -> None:
    caller = Caller(stage, concurrency=50)
    for stream in (False, True, False):
        assert caller.ask(stream=stream).status == 200
    stage.far.plan(Rule("500"))
    assert caller.ask().status == 502
    one = Decimal(9 * 100 + 6 * 1000) / 1_000_000  # tokens in and out, dollars a million

    def spent() -> dict[str, Any] | None:
        query = "SELECT sum(requests) AS requests, sum(cost) AS cost, sum(output_tokens) AS output FROM breakers_aispend WHERE key = %s"
        (row,) = stage.gateway.control(query, caller.id)
        return row if row["requests"] == 4 else None

    found = until(spent)
    assert found["output"] == 18 and abs(found["cost"] - 3 * one) <= one / 3, (found, "streams were not asked for usage: counted here")


def test_an_answer_may_come_from_the_cache(stage: AiStage) -> None:
    stage.put(AiSnapshot(cache_seconds=60, retry_floor=1000))
    one, other = Caller(stage), Caller(stage)
    question = {"content": f"question {time.time()}", "headers": {"mendgate-cache": "on"}}
    told = [one.ask(**question), one.ask(**question), one.ask(content=question["content"]), other.ask(**question)]
    assert [each.headers.get("mendgate-cache") for each in told] == ["miss", "hit", None, "miss"]
    assert told[1].text == told[0].text != told[2].text and len(stage.asked()) == 3
    streamed = one.ask(**question, stream=True)
    assert (streamed.headers["mendgate-cache"], streamed.text) == ("hit", told[0].text) and len(stage.asked()) == 3


def test_a_stream_is_kept_too_and_a_broken_one_is_not(stage: AiStage) -> None:
    stage.put(AiSnapshot(cache_seconds=60, retry_floor=1000))
    one, headers = Caller(stage), {"mendgate-cache": "on"}
    question = {"content": f"stream {time.time()}", "headers": headers}
    told = [one.ask(**question, stream=True), one.ask(**question, stream=True), one.ask(**question)]
    assert [each.headers.get("mendgate-cache") for each in told] == ["miss", "hit", "hit"]
    assert told[0].text == told[1].text == told[2].text and len(stage.asked()) == 1
    with one.sdk() as ai:
        again = ai.chat.completions.create(model="well", messages=[{"role": "user", "content": question["content"]}], extra_headers=headers)
        assert again.choices[0].message.content == told[0].text and again.choices[0].message.role == "assistant"
    stage.far.plan(Rule("cut", times=1))
    broken = {"content": f"broken {time.time()}", "headers": headers}
    one.ask(**broken, stream=True)
    assert one.ask(**broken, stream=True).headers["mendgate-cache"] == "miss"


def test_embeddings(stage: AiStage) -> None:
    with Caller(stage).sdk() as ai:
        found = ai.embeddings.create(model="vectors", input=["one", "two"])
        assert [len(each.embedding) for each in found.data] == [8, 8] and found.usage.prompt_tokens > 0
        assert stage.far.asked[-1].body["model"] == "vectors-3"
        assert len(ai.embeddings.create(model="vectors", input="one", dimensions=3).data[0].embedding) == 3
        with pytest.raises(openai.BadRequestError):
            ai.embeddings.create(model="well", input="one")
        with pytest.raises(openai.BadRequestError):
            ai.chat.completions.create(model="vectors", messages=ASK)


def test_hanging_calls_do_not_hold_up_writes(stage: AiStage) -> None:
    stage.gateway.sql("CREATE TABLE notes (id bigint GENERATED ALWAYS AS IDENTITY, text text)")
    stage.gateway.manage("capture_schema")
    slow = f"slow{next(names)}"
    limits = Limits(connect=4, first_token=4, stall=4, total=4)
    stage.put(snapshot([provider(slow, stage.far.base_url("header-hang"), limits=limits)], [model(slow, slow)]))
    with ThreadPoolExecutor(150) as pool:
        hanging = [pool.submit(stage.ask, slow) for _ in range(150)]
        until(lambda: len(stage.asked(slow)) >= 100)
        headers = {"apikey": stage.key, "authorization": f"Bearer {stage.key}"}
        for _ in range(5):
            answer = stage.http.post(f"{stage.gateway.base_url}/rest/v1/notes", json={"text": "x"}, headers=headers)
            assert answer.status_code == 201
        assert not all(each.done() for each in hanging)
        assert {each.result().status for each in hanging} == {503, 504} or {each.result().status for each in hanging} == {504}


def test_a_stop_lets_streams_end(make_gateway: Callable[..., Gateway]) -> None:
    with ai_stage(make_gateway) as stage:
        stage.put(snapshot([provider("good", stage.far.base_url(), limits=PATIENT)], [model("well", "good")]))
        stage.far.way.words, stage.far.way.pace = 20, 0.05
        told: list[Told] = []
        asking = threading.Thread(target=lambda: told.append(stage.ask("well", stream=True)))
        asking.start()
        until(stage.asked)
        assert stage.gateway.process is not None
        stage.gateway.process.send_signal(signal.SIGTERM)
        asking.join(10)
        assert told[0].done and told[0].text == stage.asked()[0].sent and not told[0].torn
