"""openai-python, unmodified, against the real web process: what an application does with it, and what it is told when it cannot."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import httpx
import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from tests.ai_faults import Asked, FarAi, Rule, far_ai
from tests.gateway_process import Gateway
from tests.local_model import NAME
from tests.waiting import HANGS

ASK: Any = [{"role": "user", "content": "hello"}]
TOOLS: Any = [
    {
        "type": "function",
        "function": {"name": "weather", "parameters": {"type": "object", "properties": {"call": {"type": "integer"}}}, "strict": False},
    }
]


class Stage(NamedTuple):
    """The gateway, what is behind it, and a client that does not try again by itself."""

    gateway: Gateway
    far: FarAi
    ai: OpenAI


@pytest.fixture(scope="module")
def stage(make_gateway: Callable[..., Gateway]) -> Iterator[Stage]:
    with far_ai() as far:
        gateway = make_gateway(AI_BASE_URL=far.base_url(), AI_API_KEY="sk-of-the-provider", AI_MODEL="small").start()
        with client(gateway) as ai:
            yield Stage(gateway, far, ai)
        gateway.stop()


@pytest.fixture(scope="module")
def real(make_gateway: Callable[..., Gateway], local_model: str) -> Iterator[OpenAI]:
    """A client of a gateway with a real small model behind it."""
    gateway = make_gateway(AI_BASE_URL=local_model, AI_MODEL=NAME).start()
    with client(gateway, timeout=900) as ai:  # it computes, on a machine that may be busy
        yield ai
    gateway.stop()


@pytest.fixture(autouse=True)
def fresh(stage: Stage) -> None:
    stage.far.reset()


def client(gateway: Gateway, role: str = "service_role", **more: Any) -> OpenAI:
    return OpenAI(base_url=f"{gateway.base_url}/v1", api_key=gateway.make_key(role), **{"max_retries": 0, "timeout": 20, **more})


def last(stage: Stage) -> Asked:
    return stage.far.chats()[-1]


def test_an_answer_comes_as_it_was_given(stage: Stage) -> None:
    raw = stage.ai.chat.completions.with_raw_response.create(model="small", messages=ASK, temperature=0.5, seed=7)
    answer = raw.parse()
    assert answer.choices[0].message.content == last(stage).sent
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None and answer.usage.completion_tokens == stage.far.way.words
    assert answer.id == f"chatcmpl-{last(stage).number}"
    assert raw.headers["mendgate-served-by"] == "default/small" and "mendgate-fallback" not in raw.headers
    assert last(stage).body == {"model": "small", "messages": ASK, "temperature": 0.5, "seed": 7}


def test_the_callers_key_stays_here_and_the_providers_there(stage: Stage) -> None:
    raw = stage.ai.chat.completions.with_raw_response.create(
        model="small", messages=ASK, extra_headers={"cookie": "a=b", "x-forwarded-for": "1.2.3.4", "openai-organization": "org"}
    )
    sent = last(stage).headers
    assert sent["authorization"] == "Bearer sk-of-the-provider"
    assert stage.ai.api_key not in str(sent) and not {"cookie", "x-forwarded-for", "apikey"} & sent.keys()
    assert "sk-of-the-provider" not in str(raw.headers) + raw.text


def test_fields_that_we_do_not_know_pass_both_ways(stage: Stage) -> None:
    answer = stage.ai.chat.completions.create(model="small", messages=ASK, extra_body={"top_k": 3, "provider": {"order": ["x"]}})
    assert last(stage).body["top_k"] == 3 and last(stage).body["provider"] == {"order": ["x"]}
    assert answer.system_fingerprint == "fp_test"


def test_a_stream_is_the_answer_in_pieces(stage: Stage) -> None:
    stream = stage.ai.chat.completions.create(model="small", messages=ASK, stream=True)
    chunks = list(stream)
    assert "".join(each.choices[0].delta.content or "" for each in chunks) == last(stage).sent
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(each.usage is None and each.choices for each in chunks), "usage was not asked for"


def test_a_stream_tells_its_usage_where_asked(stage: Stage) -> None:
    chunks = list(stage.ai.chat.completions.create(model="small", messages=ASK, stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].choices == [] and chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == stage.far.way.words
    assert [each.usage for each in chunks[:-1]] == [None] * (len(chunks) - 1)


def test_a_stream_is_not_held_back(stage: Stage) -> None:
    stage.far.way.pace = 0.05
    times = [time.monotonic() for each in stage.ai.chat.completions.create(model="small", messages=ASK, stream=True)]
    assert times[-1] - times[0] > 0.2, "it came in one piece"


def test_the_streaming_helper_of_the_sdk(stage: Stage) -> None:
    with stage.ai.chat.completions.stream(model="small", messages=ASK) as stream:
        kinds = {event.type for event in stream}
        assert stream.get_final_completion().choices[0].message.content == last(stage).sent
    assert {"content.delta", "content.done"} <= kinds


def test_tools_pass_through(stage: Stage) -> None:
    choice: Any = {"type": "function", "function": {"name": "weather"}}
    answer = stage.ai.chat.completions.create(model="small", messages=ASK, tools=TOOLS, tool_choice=choice)
    assert last(stage).body["tools"] == TOOLS and last(stage).body["tool_choice"] == choice
    assert answer.choices[0].finish_reason == "tool_calls" and answer.choices[0].message.tool_calls is not None
    call: Any = answer.choices[0].message.tool_calls[0]
    assert (call.function.name, json.loads(call.function.arguments)) == ("weather", {"call": last(stage).number})


def test_a_call_of_a_tool_is_content_of_a_stream(stage: Stage) -> None:
    chunks = list(stage.ai.chat.completions.create(model="small", messages=ASK, tools=TOOLS, stream=True))
    calls = [call for each in chunks for call in each.choices[0].delta.tool_calls or []]
    arguments = "".join(call.function.arguments or "" for call in calls if call.function)
    assert json.loads(arguments) == {"call": last(stage).number} and chunks[-1].choices[0].finish_reason == "tool_calls"


class Colour(BaseModel):
    """What is asked for in structured answers."""

    colour: str
    dark: bool


def test_a_structured_answer_is_parsed(stage: Stage) -> None:
    asked: Any = [{"role": "user", "content": 'say:{"colour": "blue", "dark": true}'}]
    answer = stage.ai.chat.completions.parse(model="small", messages=asked, response_format=Colour)
    assert answer.choices[0].message.parsed == Colour(colour="blue", dark=True)
    assert last(stage).body["response_format"]["json_schema"]["name"] == "Colour"


def test_text_of_every_kind_passes(stage: Stage) -> None:
    said = 'naïve – 日本語 🙂 "quoted" \\ \u2028 \x00 </script>'
    asked: Any = [{"role": "user", "content": f"say:{said}"}]
    assert stage.ai.chat.completions.create(model="small", messages=asked).choices[0].message.content == said
    chunks = stage.ai.chat.completions.create(model="small", messages=asked, stream=True)
    assert "".join(each.choices[0].delta.content or "" for each in chunks) == said


def test_the_models_are_listed(stage: Stage) -> None:
    assert "small" in [each.id for each in stage.ai.models.list()]
    assert stage.ai.models.retrieve("small").object == "model"
    with pytest.raises(openai.NotFoundError):
        stage.ai.models.retrieve("nobody")


def test_many_at_a_time_get_each_their_own(stage: Stage) -> None:
    async def ask(ai: AsyncOpenAI, number: int) -> bool:
        asked: Any = [{"role": "user", "content": f"say:I am number {number}"}]
        if number % 2:
            stream = await ai.chat.completions.create(model="small", messages=asked, stream=True)
            text = "".join([each.choices[0].delta.content or "" async for each in stream])
        else:
            text = (await ai.chat.completions.create(model="small", messages=asked)).choices[0].message.content or ""
        return text == f"I am number {number}"

    async def ask_all() -> list[bool]:
        async with AsyncOpenAI(base_url=str(stage.ai.base_url), api_key=stage.ai.api_key, max_retries=0) as ai:
            return await asyncio.gather(*(ask(ai, number) for number in range(40)))

    assert all(asyncio.run(ask_all()))


def test_wrong_keys_and_rights_are_told_apart(stage: Stage) -> None:
    with pytest.raises(openai.AuthenticationError) as caught:
        stage.ai.with_options(api_key="sk-nobody").chat.completions.create(model="small", messages=ASK)
    assert caught.value.code == "invalid_api_key"
    with client(stage.gateway, "anon") as anon, pytest.raises(openai.PermissionDeniedError):
        anon.chat.completions.create(model="small", messages=ASK)
    assert not stage.far.asked, "nothing may go up"


def test_a_model_that_nobody_knows(stage: Stage) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        stage.ai.chat.completions.create(model="nobody", messages=ASK)
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b'"x"', b"\xff\xfe", b'{"model": 1}', b'{"messages": []}', b'{"model": "small"}'])
def test_a_body_that_is_none_is_the_callers_mistake(stage: Stage, broken: bytes) -> None:
    headers = {"authorization": f"Bearer {stage.ai.api_key}", "content-type": "application/json"}
    answer = httpx.post(f"{stage.gateway.base_url}/v1/chat/completions", content=broken, headers=headers)
    assert answer.status_code in (400, 404, 422) and set(answer.json()["error"]) == {"message", "type", "param", "code"}
    assert not stage.far.chats()


def test_what_the_provider_refuses_for_the_callers_sake_is_handed_on(stage: Stage) -> None:
    stage.far.plan(Rule("400"))
    with pytest.raises(openai.BadRequestError) as caught:
        stage.ai.chat.completions.create(model="small", messages=ASK, temperature=9)
    assert (caught.value.param, caught.value.code) == ("temperature", "invalid_value")
    with pytest.raises(openai.BadRequestError):
        stage.ai.chat.completions.create(model="small", messages=ASK, temperature=9, stream=True)
    assert len(stage.far.chats()) == 2, "the caller's mistake is not tried again"


def test_a_full_provider_is_a_rate_limit_with_the_time_to_wait(stage: Stage) -> None:
    stage.far.way.wait = 1
    stage.far.plan(Rule("429-seconds"))
    with pytest.raises(openai.RateLimitError) as caught:
        stage.ai.with_options(max_retries=0).chat.completions.create(model="small", messages=ASK)
    assert 0 < float(caught.value.response.headers["retry-after"]) <= 2
    stage.far.plan()
    time.sleep(1.1)  # as it said
    assert stage.ai.chat.completions.create(model="small", messages=ASK).choices


def test_the_sdk_does_not_try_again_what_we_tried_again(stage: Stage) -> None:
    stage.far.plan(Rule("500"))
    with pytest.raises(openai.InternalServerError):
        stage.ai.chat.completions.create(model="small", messages=ASK)
    once = len(stage.far.chats())
    assert 1 <= once <= 4
    with pytest.raises(openai.InternalServerError):
        stage.ai.with_options(max_retries=2).chat.completions.create(model="small", messages=ASK)
    assert len(stage.far.chats()) <= 2 * once


def test_a_caller_that_gives_up_is_let_go(stage: Stage) -> None:
    stage.far.way.first = 5
    with pytest.raises(openai.APITimeoutError):
        stage.ai.with_options(timeout=0.2).chat.completions.create(model="small", messages=ASK)
    deadline = time.monotonic() + HANGS
    while last(stage).closed is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert last(stage).closed is not None, "the provider works on for nobody"


def test_a_stream_that_breaks_raises_and_keeps_what_came(stage: Stage) -> None:
    stage.far.plan(Rule("cut"))
    came: list[str] = []
    stream = stage.ai.chat.completions.create(model="small", messages=ASK, stream=True)
    with pytest.raises(openai.APIError) as caught:
        came.extend(each.choices[0].delta.content or "" for each in stream)
    assert not isinstance(caught.value, openai.APIConnectionError), "an error event, not a torn connection"
    assert "".join(came) == last(stage).sent and last(stage).sent.count(">") == stage.far.way.after
    assert len(stage.far.chats()) == 1, "nothing is asked again once words went out"


def test_real_model_answers(real: OpenAI) -> None:
    answer = real.chat.completions.create(model=NAME, messages=ASK, max_tokens=8, temperature=0)
    assert answer.choices[0].message.content and answer.usage is not None and 0 < answer.usage.completion_tokens <= 8


def test_real_model_streams(real: OpenAI) -> None:
    whole = real.chat.completions.create(model=NAME, messages=ASK, max_tokens=8, temperature=0).choices[0].message.content
    chunks = list(
        real.chat.completions.create(
            model=NAME, messages=ASK, max_tokens=8, temperature=0, stream=True, stream_options={"include_usage": True}
        )
    )
    assert "".join(each.choices[0].delta.content or "" for each in chunks if each.choices) == whole
    assert chunks[-1].usage is not None and chunks[-1].usage.completion_tokens <= 8


def test_real_model_keeps_to_a_schema(real: OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"colour": {"type": "string", "enum": ["red", "blue"]}},
        "required": ["colour"],
        "additionalProperties": False,
    }
    wanted: Any = {"type": "json_schema", "json_schema": {"name": "colour", "strict": True, "schema": schema}}
    answer = real.chat.completions.create(model=NAME, messages=ASK, max_tokens=100, temperature=0, seed=1, response_format=wanted)
    assert json.loads(answer.choices[0].message.content or "")["colour"] in ("red", "blue")


def test_real_model_says_when_a_question_is_too_long(real: OpenAI) -> None:
    long: Any = [{"role": "user", "content": "x " * 9000}]
    with pytest.raises(openai.BadRequestError):
        real.chat.completions.create(model=NAME, messages=long, max_tokens=4)
