"""What is between a caller and its providers: attempts, breakers, keys, streams; against a service that goes wrong as it is told."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from msgspec.structs import replace

from breakers.core.types import State
from breakers.gateway.ai import app, crowd
from breakers.gateway.ai.call import row_of
from breakers.gateway.ai.errors import AiError
from breakers.gateway.ai.snapshot import Canned, Limits, Model
from tests.ai_calls import HELLO, ai_calls, provider, snapshot
from tests.ai_faults import FarAi, Rule, far_ai
from tests.integration.ai_rows import in_loop
from tests.waiting import HANGS

STREAM = {"stream": True, **HELLO}
CUT_IN_THE_MIDDLE = ["stall", "cut", "cut-fin", "truncated", "drip", "error-mid-stream"]


@pytest.fixture(scope="module")
def server() -> Iterator[FarAi]:
    with far_ai() as far:
        yield far


@pytest.fixture
def far(server: FarAi) -> FarAi:
    server.reset()
    server.way.pace = 0.005
    return server


def chain(far: FarAi, fault: str) -> object:
    """Model m at provider a, which goes wrong; n at b stands in."""
    models = (Model(name="m", provider="a", upstream="um", fallbacks=("n",)), Model(name="n", provider="b", upstream="un"))
    return snapshot(provider("a", far.base_url(fault), "k1"), provider("b", far.base_url(), "k2"), models=models)


@in_loop
async def test_a_whole_answer_passes_as_it_is_and_is_recorded(far: FarAi):
    async with ai_calls(snapshot(provider("a", far.base_url(), "k1"))) as call:
        answer = await call({"model": "a", "temperature": 0.5, "x_unknown": [1, {"y": None}], **HELLO})
    asked, record = far.asked[-1], call.recorded[-1]
    assert (answer.status, answer.headers["mendgate-served-by"]) == (200, "a/a")
    assert answer.text == asked.sent and answer.headers["x-request-id"] == record.id
    assert asked.body == {"model": "up-a", "temperature": 0.5, "x_unknown": [1, {"y": None}], **HELLO} and asked.key == "k1"
    assert (record.outcome, record.model_served, record.provider, record.output_tokens) == ("ok", "a", "a", 6)
    assert record.input_tokens == answer.json["usage"]["prompt_tokens"]


@in_loop
async def test_a_stream_passes_word_for_word_and_its_tokens_are_counted_though_nobody_asked(far: FarAi):
    async with ai_calls(snapshot(provider("a", far.base_url()))) as call:
        answer = await call({"model": "a", **STREAM})
    assert answer.text == far.asked[-1].sent and answer.events[-1] == "[DONE]" and answer.whole
    assert far.asked[-1].body["stream_options"] == {"include_usage": True}
    assert not any(event.get("usage") for event in answer.events[:-1])
    assert call.recorded[-1].output_tokens == 6 and call.recorded[-1].first_token_seconds is not None


@in_loop
async def test_a_caller_who_asks_for_usage_gets_it(far: FarAi):
    async with ai_calls(snapshot(provider("a", far.base_url()))) as call:
        answer = await call({"model": "a", "stream_options": {"include_usage": True}, **STREAM})
    assert answer.events[-2]["usage"]["completion_tokens"] == 6


@pytest.mark.parametrize("fault", CUT_IN_THE_MIDDLE)
@in_loop
async def test_what_breaks_off_after_content_ends_with_an_error_and_repeats_nothing(far: FarAi, fault: str):
    async with ai_calls(chain(far, fault)) as call:
        began = time.monotonic()
        answer = await call({"model": "m", **STREAM})
        view = call.breaker("ai:a").view()
    events = answer.events
    assert "[DONE]" not in events and events[-1]["error"]["code"] == "stream_interrupted" and answer.whole
    assert far.asked[0].sent.startswith(answer.text) and answer.text and len(far.asked) == 1
    assert time.monotonic() - began < HANGS
    assert (view.calls, view.failures, call.recorded[-1].outcome) == (1, 1, "failed")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", ["500", "header-hang", "connect-refused", "empty-choices", "html", "error-in-200", "pings-hang"])
@in_loop
async def test_what_goes_wrong_before_content_is_answered_by_the_next_model(far: FarAi, fault: str, stream: bool):
    async with ai_calls(chain(far, fault)) as call:
        began = time.monotonic()
        answer = await call({"model": "m", "stream": stream, **HELLO})
        failures = call.breaker("ai:a").view().failures
    assert (answer.status, answer.headers["mendgate-served-by"], answer.headers["mendgate-fallback"]) == (200, "b/n", "model")
    assert failures >= 1 and time.monotonic() - began < HANGS
    await _until(lambda: answer.text == far.asked[-1].sent)
    assert call.recorded[-1].outcome == "fallback" and call.recorded[-1].attempts[0].outcome == "failed"


@in_loop
async def test_the_only_deployment_is_not_called_while_its_429_lasts(far: FarAi):
    far.plan(Rule("429-seconds", times=1))
    async with ai_calls(snapshot(provider("a", far.base_url(), "k1"))) as call:
        answers = [await call({"model": "a", **HELLO}) for _ in range(11)]
        assert len(far.asked) == 1
        assert all(each.status == 429 and each.headers["retry-after"] == "1" for each in answers)
        assert call.breaker("ai:a").view().failures == 0
        await asyncio.sleep(1.05)
        assert (await call({"model": "a", **HELLO})).status == 200


@in_loop
async def test_a_429_that_another_process_met_is_obeyed_here(far: FarAi):
    far.plan(Rule("429-seconds", times=1))
    rows = snapshot(provider("a", far.base_url(), "k1"))
    async with ai_calls(rows) as one, ai_calls(rows, breakers=one.breakers) as other:
        answers = [await call({"model": "a", **HELLO}) for call in (one, other, other)]
    assert [each.status for each in answers] == [429, 429, 429] and len(far.asked) == 1


@in_loop
async def test_a_person_ends_the_rest_of_a_key_in_every_process(far: FarAi):
    far.plan(Rule("429-seconds", times=1))
    rows = snapshot(provider("a", far.base_url(), "k1"))
    async with ai_calls(rows) as one, ai_calls(rows, breakers=one.breakers) as other:
        assert [(await call({"model": "a", **HELLO})).status for call in (one, other)] == [429, 429]
        (key,) = rows.providers["a"].credentials
        lifted = replace(rows.providers["a"], credentials=(replace(key, lifted=1_790_000_000),))
        one.known.rows = other.known.rows = replace(rows, providers={"a": lifted})
        assert [(await call({"model": "a", **HELLO})).status for call in (other, one)] == [200, 200]
        far.plan(Rule("429-seconds", times=1))
        assert [(await call({"model": "a", **HELLO})).status for call in (one, other)] == [429, 429], "a new pause is obeyed"


@in_loop
async def test_a_429_rotates_to_the_next_key_and_a_401_retires_its_key(far: FarAi):
    far.plan(Rule("429", key="k1"), Rule("401", key="k2"))
    async with ai_calls(snapshot(provider("a", far.base_url(), "k1", "k2", "k3"))) as call:
        assert (await call({"model": "a", **HELLO})).status == 200
        assert [each.key for each in far.asked] == ["k1", "k2", "k3"]
        assert call.known.retired == ["a-k2"]
        assert (await call({"model": "a", **HELLO})).status == 200 and far.asked[-1].key == "k3" and len(far.asked) == 4


@in_loop
async def test_a_403_that_a_caller_can_provoke_retires_no_key(far: FarAi):
    far.plan(Rule("403", key="k1", path="chat"))
    async with ai_calls(chain(far, "")) as call:
        answers = [await call({"model": "m", **HELLO}) for _ in range(5)]
        assert not call.known.retired
    assert {each.headers["mendgate-served-by"] for each in answers} == {"b/n"}
    assert [each.path for each in far.asked if each.key == "k1"].count("/v1/models") == 1, "the key is asked for once in a while only"


@in_loop
async def test_a_403_of_the_only_key_is_told_to_the_caller_as_it_is(far: FarAi):
    far.plan(Rule("403", path="chat"))
    async with ai_calls(snapshot(provider("a", far.base_url(), "k1"))) as call:
        answer = await call({"model": "a", **HELLO})
        assert answer.status == 403 and not call.known.retired
        far.plan()
        assert (await call({"model": "a", **HELLO})).status == 200


@in_loop
async def test_a_key_that_its_provider_refuses_by_itself_is_retired(far: FarAi):
    far.plan(Rule("403", key="k1"))
    async with ai_calls(snapshot(provider("a", far.base_url(), "k1", "k2"))) as call:
        assert (await call({"model": "a", **HELLO})).status == 200 and call.known.retired == ["a-k1"]


@in_loop
async def test_a_key_of_which_the_provider_does_not_say_rests(far: FarAi):
    far.plan(Rule("403", key="k1", path="chat"), Rule("500", key="k1", path="models"))
    async with ai_calls(snapshot(provider("a", far.base_url(), "k1", "k2"))) as call:
        for _ in range(3):
            assert (await call({"model": "a", **HELLO})).status == 200
        assert not call.known.retired
    assert [each.key for each in far.chats()] == ["k1", "k2", "k2", "k2"]


@in_loop
async def test_an_error_of_the_caller_comes_through_and_counts_nowhere(far: FarAi):
    async with ai_calls(chain(far, "400")) as call:
        answers = [await call({"model": "m", **HELLO}) for _ in range(8)]
        assert call.breaker("ai:a").view().calls == 0
    assert answers[-1].status == 400 and answers[-1].error["param"] == "temperature" and len(far.asked) == 8


@in_loop
async def test_too_long_a_request_goes_to_a_larger_model(far: FarAi):
    far.plan(Rule("context-length-local", model="us"))
    models = (
        Model(name="s", provider="a", upstream="us", context_tokens=1000, fallbacks=("t", "l")),
        Model(name="t", provider="a", upstream="ut", context_tokens=500),
        Model(name="l", provider="a", upstream="ul", context_tokens=9000),
    )
    async with ai_calls(snapshot(provider("a", far.base_url()), models=models)) as call:
        answer = await call({"model": "s", **HELLO})
    assert answer.status == 200 and [each.model for each in far.asked] == ["us", "ul"]


@in_loop
async def test_an_open_breaker_costs_no_call_and_says_when(far: FarAi):
    async with ai_calls(snapshot(provider("a", far.base_url("500")))) as call:
        for _ in range(6):
            await call({"model": "a", **HELLO})
        before = len(far.asked)
        began = time.monotonic()
        answer = await call({"model": "a", **HELLO})
        assert call.breaker("ai:a").view().state is State.OPEN
    assert len(far.asked) == before and time.monotonic() - began < 0.1
    assert (answer.status, answer.error["code"]) == (503, "breaker_open") and int(answer.headers["retry-after"]) > 1


@in_loop
async def test_a_bad_provider_does_not_close_the_door_to_a_good_one(far: FarAi):
    rows = snapshot(provider("a", far.base_url("500")), provider("b", far.base_url()))
    async with ai_calls(rows) as call:
        await call({"model": "b", **HELLO})
        for _ in range(12):
            await call({"model": "a", **HELLO})
        assert call.breaker("ai-gateway").view().state is State.CLOSED
        assert (await call({"model": "b", **HELLO})).status == 200


@pytest.mark.parametrize("stream", [False, True])
@in_loop
async def test_a_canned_answer_stands_in_and_says_so(far: FarAi, stream: bool):
    rows = snapshot(provider("a", far.base_url("connect-refused")), canned=(Canned(id="1", content="We are back soon."),))
    async with ai_calls(rows) as call:
        answer = await call({"model": "a", "stream": stream, **HELLO})
    first = answer.events[0] if stream else answer.json
    assert (answer.status, answer.text, answer.headers["mendgate-fallback"]) == (200, "We are back soon.", "canned")
    assert first["model"] == "mendgate-canned" and call.recorded[-1].outcome == "canned"


@in_loop
async def test_a_thousand_callers_are_answered_while_the_provider_is_down(far: FarAi):
    rows = snapshot(provider("a", far.base_url("connect-refused")), canned=(Canned(id="1", content="Later."),))
    async with ai_calls(rows) as call:
        answers = await asyncio.gather(*(call({"model": "a", **HELLO}) for _ in range(1000)))
    assert {each.text for each in answers} == {"Later."}


@in_loop
async def test_without_a_provider_it_says_so_at_once():
    async with ai_calls(snapshot()) as call:
        answer = await call({"model": "a", **HELLO})
        assert (answer.status, answer.error["code"]) == (503, "no_provider") and "AI_BASE_URL" in answer.error["message"]
        call.known.rows = snapshot(canned=(Canned(id="1", content="hi"),))
        assert (await call({"model": "a", **HELLO})).text == "hi"


@in_loop
async def test_a_provider_that_refuses_to_count_is_asked_without(far: FarAi):
    async def refusing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                bodies.append(json.loads(await reader.readexactly(length)))
                said = b'{"error":{"message":"Unrecognized request argument: stream_options","type":"invalid_request_error"}}'
                chunks = b'data: {"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
                status, out = (b"400 No", said) if "stream_options" in bodies[-1] else (b"200 OK", chunks)
                writer.write(b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s" % (status, len(out), out))

    bodies: list[dict[str, object]] = []
    async with await asyncio.start_server(refusing, "127.0.0.1") as server:
        rows = snapshot(provider("a", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"))
        async with ai_calls(rows) as call:
            answers = [await call({"model": "a", **STREAM}) for _ in range(2)]
    assert [each.text for each in answers] == ["hi", "hi"] and ["stream_options" in each for each in bodies] == [True, False, False]


@in_loop
async def test_a_caller_who_hangs_up_ends_the_call_at_the_provider_and_counts_nowhere(far: FarAi):
    far.way.pace, far.way.words = 0.05, 1000
    async with ai_calls(snapshot(provider("a", far.base_url(), limits=Limits()))) as call:
        leaves = asyncio.Event()
        going = asyncio.ensure_future(call({"model": "a", **STREAM}, leaves=leaves))
        await _until(lambda: far.asked and far.asked[0].sent.count(">") > 5)
        leaves.set()
        await asyncio.wait_for(going, HANGS)
        await _until(lambda: far.asked[0].closed is not None)
        assert call.breaker("ai:a").view().calls == 0 and call.recorded[-1].outcome == "cancelled"
        assert 0 < call.recorded[-1].output_tokens < 1000


@in_loop
async def test_a_caller_who_hangs_up_before_any_answer_ends_the_call_too(far: FarAi):
    async with ai_calls(snapshot(provider("a", far.base_url("header-hang"), limits=Limits()))) as call:
        leaves = asyncio.Event()
        going = asyncio.ensure_future(call({"model": "a", **HELLO}, leaves=leaves))
        await _until(lambda: far.asked)
        leaves.set()
        await asyncio.wait_for(going, HANGS)
        await _until(lambda: far.asked[0].closed is not None)
        last = call.recorded[-1]
        assert last.attempts[0].outcome == "cancelled" and call.breaker("ai:a").view().calls == 0
        assert last.input_tokens > 0 and last.output_tokens == 0, "what was sent to the provider is used"


@pytest.mark.parametrize(("fault", "cost"), [("header-hang", 1.0), ("connect-refused", 0.0)])
@in_loop
async def test_what_a_provider_had_and_did_not_answer_in_time_is_booked_as_an_estimate(far: FarAi, fault: str, cost: float):
    models = (
        Model(name="m", provider="a", upstream="um", fallbacks=("n",), input_price=1_000_000.0),
        Model(name="n", provider="b", upstream="un", input_price=10_000_000.0),
    )
    rows = snapshot(provider("a", far.base_url(fault), "k1"), provider("b", far.base_url(), "k2"), models=models)
    async with ai_calls(rows) as call:
        answer = await call({"model": "m", **HELLO})
        far.plan(Rule("header-hang", key="k2"))
        await call({"model": "m", **HELLO})
    answered, unanswered = call.recorded
    sent = unanswered.input_tokens / (2 if cost else 1)
    assert answered.cost == pytest.approx(10 * answer.json["usage"]["prompt_tokens"] + cost * sent) and answered.estimated is bool(cost)
    assert unanswered.status == 504 and unanswered.cost == pytest.approx((10 + cost) * sent) and unanswered.estimated


@in_loop
async def test_a_caller_cannot_make_us_stop_counting(far: FarAi):
    async def strict(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            while head := await reader.readuntil(b"\r\n\r\n"):
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                bodies.append(json.loads(await reader.readexactly(length)))
                said = b'{"error":{"message":"Unrecognized request argument: my_stream_options","type":"invalid_request_error"}}'
                chunks = b'data: {"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
                status, out = (b"400 No", said) if "my_stream_options" in bodies[-1] else (b"200 OK", chunks)
                writer.write(b"HTTP/1.1 %s\r\ncontent-length: %d\r\n\r\n%s" % (status, len(out), out))

    bodies: list[dict[str, object]] = []
    async with await asyncio.start_server(strict, "127.0.0.1") as server:
        rows = snapshot(provider("a", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"))
        async with ai_calls(rows) as call:
            assert (await call({"model": "a", "my_stream_options": 1, **STREAM})).status == 400
            assert (await call({"model": "a", **STREAM})).text == "hi"
    assert "stream_options" in bodies[-1]


@in_loop
async def test_a_provider_that_repeats_our_key_does_not_tell_it_to_the_caller(far: FarAi):
    async def telling(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        out = json.dumps({"error": {"message": head.decode()}}).encode()
        writer.write(b"HTTP/1.1 400 No\r\ncontent-length: %d\r\n\r\n%s" % (len(out), out))
        writer.close()

    async with await asyncio.start_server(telling, "127.0.0.1") as server:
        rows = snapshot(provider("a", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", "sk-canary-1"))
        async with ai_calls(rows) as call:
            answer = await call({"model": "a", **HELLO})
    assert answer.status == 400 and "Bearer [key]" in answer.error["message"]
    assert b"canary" not in answer.body and "canary" not in call.recorded[-1].error


@in_loop
async def test_a_name_that_no_model_has_is_bounded_and_stands_in_no_sum():
    async with ai_calls(snapshot(provider("a", "http://127.0.0.1:1/v1"))) as call:
        assert (await call({"model": "sk-mine-abcdefgh12345678", **HELLO})).status == 404
        assert (await call({"model": "x" * 1_000_000, **HELLO})).error["param"] == "model"
    row = row_of(call.recorded[0])
    assert (row.model, row.model_asked) == ("", "[key]") and "abcdefgh" not in row.error and len(call.recorded) == 1


@in_loop
async def test_half_a_body_does_not_hold_its_place_for_ever(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(app, "BODY_WITHIN", 0.05)

    async def receive() -> dict[str, object]:
        nonlocal first
        if not first:
            await asyncio.Event().wait()
        first = False
        return {"type": "http.request", "body": b"{", "more_body": True}

    first = True
    with pytest.raises(AiError) as caught:
        await app.read_body({}, receive, 1000)
    assert (caught.value.status, caught.value.code) == (408, "request_timeout")


@pytest.mark.parametrize("stream", [False, True])
@in_loop
async def test_what_was_sent_whole_is_not_cancelled_by_the_disconnect_that_follows(far: FarAi, stream: bool):
    leaves = asyncio.Event()

    async def leave(part: bytes) -> None:
        if b"DONE" in part or not stream:
            leaves.set()
            await asyncio.sleep(0.01)

    async with ai_calls(snapshot(provider("a", far.base_url()))) as call:
        await call({"model": "a", "stream": stream, **HELLO}, leaves=leaves, taking=leave)
        assert call.breaker("ai:a").view().calls == 1
    assert (call.recorded[-1].outcome, call.recorded[-1].output_tokens) == ("ok", 6)


@in_loop
async def test_a_crowd_does_not_storm_a_provider_that_is_down(far: FarAi, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(crowd, "MOMENT", 5.0)  # on a busy machine
    rows = snapshot(provider("a", far.base_url("cut-at-once")), canned=(Canned(id="1", content="Later."),))
    async with ai_calls(rows) as call:
        answers = await asyncio.gather(*(call({"model": "a", **HELLO}) for _ in range(300)))
    assert {each.text for each in answers} == {"Later."} and len(far.asked) <= 64


@in_loop
async def test_a_slow_caller_is_not_read_ahead_of(far: FarAi):
    far.way.pace, far.way.words = 0, 40_000
    taken = 0

    async def slowly(part: bytes) -> None:
        nonlocal taken
        taken += len(part)
        await asyncio.sleep(0.05)

    async with ai_calls(snapshot(provider("a", far.base_url(), limits=Limits(total=0.8)))) as call:
        await call({"model": "a", **STREAM}, taking=slowly)
    assert taken < 2_000_000 and call.recorded[-1].status in (200, 499)


@in_loop
async def test_connections_are_used_again_for_whole_and_streamed_answers(far: FarAi):
    async with ai_calls(snapshot(provider("a", far.base_url()))) as call:
        for stream in (False, True, True, False):
            await call({"model": "a", "stream": stream, **HELLO})
    assert len({each.connection for each in far.asked}) == 1


@in_loop
async def test_private_addresses_are_for_providers_that_allow_them(far: FarAi):
    local = [provider("name", far.base_url().replace("127.0.0.1", "localhost"), allow_private=False)]
    local.append(provider("number", far.base_url(), allow_private=False))
    async with ai_calls(snapshot(*local)) as call:
        answers = [await call({"model": each.name, **HELLO}) for each in local]
    assert [each.status for each in answers] == [502, 502] and not far.asked
    assert "private address" in answers[0].error["message"]


@in_loop
async def test_a_redirect_is_not_followed_and_an_endless_answer_is_cut(far: FarAi):
    rows = snapshot(provider("a", far.base_url("redirect")), provider("b", far.base_url("huge")))
    async with ai_calls(rows, answer_limit=1_000_000) as call:
        answers = [await call({"model": name, "stream": stream, **HELLO}) for name in "ab" for stream in (False, True)]
    assert {each.status for each in answers} == {502} and not any("stolen" in each.path for each in far.asked)


@in_loop
async def test_embeddings_pass(far: FarAi):
    models = (Model(name="e", provider="a", upstream="ue", kind="embedding", input_price=1.0), Model(name="m", provider="a", upstream="um"))
    async with ai_calls(snapshot(provider("a", far.base_url()), models=models)) as call:
        answer = await call({"model": "e", "input": ["x", "y"], "dimensions": 4}, "embeddings")
        wrong = await call({"model": "m", "input": "x"}, "embeddings")
    assert [len(each["embedding"]) for each in answer.json["data"]] == [4, 4] and call.recorded[0].cost > 0
    assert (wrong.status, wrong.error["code"]) == (400, "model_kind")


@in_loop
async def test_models_are_listed_and_told():
    async with ai_calls(snapshot(provider("a", "http://127.0.0.1:1/v1"))) as call:
        listed, one, none = [await call(b"", path, "GET") for path in ("models", "models/a", "models/none")]
    assert [each["id"] for each in listed.json["data"]] == ["a"] and one.json["owned_by"] == "a"
    assert (none.status, none.error["code"]) == (404, "model_not_found")


@pytest.mark.parametrize(
    ("body", "path", "method", "headers", "status", "code"),
    [
        (b"{", "chat/completions", "POST", {}, 400, None),
        (b"", "chat/completions", "GET", {}, 405, "method_not_allowed"),
        (b"", "responses", "POST", {}, 404, "unknown_url"),
        (b"x", "chat/completions", "POST", {"content-type": "text/plain"}, 415, "unsupported_media_type"),
        (b"x" * 2000, "chat/completions", "POST", {}, 413, "request_too_large"),
        (b"", "chat/completions", "POST", {"content-length": "99999999999999999999999"}, 413, "request_too_large"),
        (json.dumps({"model": "none", **HELLO}).encode(), "chat/completions", "POST", {}, 404, "model_not_found"),
        (json.dumps({"model": "a"}).encode(), "chat/completions", "POST", {}, 400, None),
    ],
)
@in_loop
async def test_what_cannot_be_served_is_said_in_openais_shape(
    body: bytes, path: str, method: str, headers: dict[str, str], status: int, code: str | None
):
    async with ai_calls(snapshot(provider("a", "http://127.0.0.1:1/v1")), body_limit=1000) as call:
        answer = await call(body, path, method, headers)
    assert (answer.status, answer.error["code"]) == (status, code) and set(answer.error) == {"message", "type", "param", "code"}


@in_loop
async def test_an_unknown_model_may_mean_the_default(far: FarAi):
    rows = snapshot(provider("a", far.base_url()), default_model="a", unknown_to_default=True)
    async with ai_calls(rows) as call:
        assert (await call({"model": "whatever", **HELLO})).headers["mendgate-served-by"] == "a/a"
        assert (await call(HELLO)).status == 200


@in_loop
async def test_anon_may_not_ask_without_the_scope():
    async with ai_calls(snapshot()) as call:
        call.caller = type(call.caller)("k", "anon")
        assert (await call(HELLO)).status == 403
        call.caller = type(call.caller)("k", "anon", "", ("ai",))
        assert (await call(HELLO)).status == 503
        call.caller = type(call.caller)("k", "service_role", "", ("data",))
        assert (await call(HELLO)).status == 403


@in_loop
async def test_when_the_process_stops_a_stream_is_told_that_it_is_not_whole(far: FarAi):
    far.way.pace, far.way.words = 0.05, 1000
    async with ai_calls(snapshot(provider("a", far.base_url(), limits=Limits()))) as call:
        going = asyncio.ensure_future(call({"model": "a", **STREAM}))
        await _until(lambda: far.asked and far.asked[0].sent.count(">") > 5)
        call.gateway._stop()
        answer = await asyncio.wait_for(going, HANGS)
    assert answer.events[-1]["error"]["code"] == "stopping" and answer.whole and answer.text


async def _until(true: object) -> None:
    async with asyncio.timeout(HANGS):
        while not true():  # type: ignore[operator]
            await asyncio.sleep(0.01)
