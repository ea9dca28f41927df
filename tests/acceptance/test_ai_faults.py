"""The sixteen faults, plain and streamed: bounded time, the right fallback, the right count, nothing twice, and the truth."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from breakers.gateway.ai.snapshot import Canned
from tests.acceptance.ai_stage import AiStage, ai_stage, until
from tests.ai_faults import SIXTEEN
from tests.ai_rows import QUICK, model, provider, snapshot
from tests.gateway_process import Gateway

FAULTS = list(SIXTEEN.values())
MORE = ["429-date", "429-ms", "cut-fin", "cut-at-once", "role-hang", "pings-hang", "error-in-200-plain", "error-text", "empty-body", "502"]
ALL = [*FAULTS, *MORE]
MIDDLE = {"stall", "cut", "cut-fin", "truncated", "drip"}
"""They go wrong after words went out, where the answer is streamed."""
LATE = QUICK.total + 0.6
"""No answer takes longer, on a busy machine."""
SAID = "We are sorry: please try again in a minute."
UNCOUNTED = {"429-seconds", "429", "429-date", "429-ms"}
"""Being asked to wait is no failure."""


@pytest.fixture(scope="module")
def stage(make_gateway: Callable[..., Gateway]) -> Iterator[AiStage]:
    """For each fault two providers with that fault, so that plain and streamed calls have a breaker each: ``plain-…``, ``stream-…``
    with a model that falls back to ``well``, and ``alone-…`` with a canned answer or nothing at all."""
    with ai_stage(make_gateway) as stage:
        providers, models = [provider("good", stage.far.base_url(), "sk-good")], [model("well", "good")]
        canned = []
        for fault in ALL:
            for kind in ("plain", "stream", "canned", "alone"):
                providers.append(provider(f"{kind}-{fault}", stage.far.base_url(fault), f"sk-{kind}-{fault}"))
                models.append(model(f"{kind}-{fault}", f"{kind}-{fault}", *(["well"] if kind in ("plain", "stream") else [])))
            canned.append(Canned(id=f"canned-{fault}", model=f"canned-{fault}", content=SAID))
        stage.put(snapshot(providers, models, tuple(canned)))
        yield stage


@pytest.fixture(autouse=True)
def fresh(stage: AiStage) -> None:
    stage.far.reset()


def test_all_is_well_without_faults(stage: AiStage) -> None:
    for stream in (False, True):
        told = stage.ask("well", stream=stream)
        assert (told.status, told.text, told.done) == (200, stage.asked()[-1].sent, stream)
        assert (told.served_by, told.fallback) == ("good/well", "")


@pytest.mark.parametrize("fault", ALL)
def test_a_plain_answer_comes_from_the_next_model(stage: AiStage, fault: str) -> None:
    told = stage.ask(f"plain-{fault}")
    assert told.seconds < LATE
    assert told.status == 200 or fault == "drip", told.error
    if told.status == 200:
        (good,) = stage.asked("well")
        assert told.text == good.sent, "nothing of the first model may be in it"
        assert (told.served_by, told.fallback, told.model) == ("good/well", "model", "well")
    assert len(stage.asked(f"plain-{fault}")) <= 2
    logged(stage, f"plain-{fault}", "fallback" if told.status == 200 else "failed")
    counted(stage, f"ai:plain-{fault}", fault)


@pytest.mark.parametrize("fault", [each for each in ALL if each not in MIDDLE])
def test_a_stream_that_did_not_begin_comes_from_the_next_model(stage: AiStage, fault: str) -> None:
    told = stage.ask(f"stream-{fault}", stream=True)
    assert told.seconds < LATE
    (good,) = stage.asked("well")
    assert (told.status, told.text, told.done, told.error, told.torn) == (200, good.sent, True, None, "")
    assert (told.served_by, told.fallback) == ("good/well", "model")
    logged(stage, f"stream-{fault}", "fallback")
    counted(stage, f"ai:stream-{fault}", fault)


@pytest.mark.parametrize("fault", sorted(MIDDLE))
def test_a_stream_that_breaks_says_so_and_nothing_comes_twice(stage: AiStage, fault: str) -> None:
    told = stage.ask(f"stream-{fault}", stream=True)
    (first,) = stage.asked()
    assert told.seconds < LATE
    assert first.sent.startswith(told.text) and told.text.count("<") >= stage.far.way.after
    assert told.text == first.sent or fault == "drip", "what came in time was handed on"
    assert told.error is not None and told.error["message"] and not told.done, "an error event, and no [DONE]"
    assert not told.torn, "the stream itself ends in good order"
    assert told.events[-1].get("error") == told.error, "it is the last thing that is said"
    logged(stage, f"stream-{fault}", "failed")
    counted(stage, f"ai:stream-{fault}", fault)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_canned_answer_is_the_last_resort_and_says_so(stage: AiStage, fault: str) -> None:
    told = stage.ask(f"canned-{fault}")
    assert told.seconds < LATE
    assert (told.status, told.text, told.model, told.fallback) == (200, SAID, "mendgate-canned", "canned")
    assert logged(stage, f"canned-{fault}", "canned")["cost"] == 0


@pytest.mark.parametrize("fault", [each for each in FAULTS if each not in MIDDLE])
def test_a_canned_answer_is_streamed_where_a_stream_was_asked(stage: AiStage, fault: str) -> None:
    told = stage.ask(f"canned-{fault}", stream=True, stream_options={"include_usage": True})
    assert told.seconds < LATE
    assert (told.status, told.text, told.model, told.fallback, told.done) == (200, SAID, "mendgate-canned", "canned", True)
    assert told.finish == "stop"


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("fault", [each for each in FAULTS if each not in MIDDLE])
def test_without_any_resort_the_caller_is_told_the_truth(stage: AiStage, fault: str, stream: bool) -> None:
    told = stage.ask(f"alone-{fault}", stream=stream)
    assert told.seconds < LATE
    assert told.error is not None and set(told.error) >= {"message", "type", "param", "code"}
    if fault.startswith("429"):
        assert told.status == 429 and float(told.headers["retry-after"]) > 0
    else:
        assert told.status in (502, 503, 504), told.error
    assert told.headers["content-type"].startswith("application/json"), "an error before the first word is no stream"
    assert not {"sk-", "127.0.0.1"} & set(told.error["message"].split()) and f"sk-alone-{fault}" not in str(told.error)


def logged(stage: AiStage, name: str, outcome: str) -> dict[str, object]:
    """The entry of the log says what happened, and what it cost."""
    call = stage.call(name)
    assert (call["outcome"], call["model_asked"]) == (outcome, name), call
    assert call["attempts"] and call["attempts"][0]["provider"] == name and call["attempts"][0]["outcome"] != "ok", call["attempts"]
    if outcome == "fallback":
        assert call["attempts"][-1]["provider"] == "good" and call["model_served"] == "well"
        assert call["output_tokens"] == stage.far.way.words and call["cost"] > 0
    return call


def counted(stage: AiStage, name: str, fault: str) -> None:
    """The breaker counted what was a failure, and nothing else."""

    def look() -> bool:
        row = stage.breaker(name)
        return bool(row) and row["failures"] == 0 if fault in UNCOUNTED else bool(row) and row["failures"] >= 1

    until(look, 2.0)
    assert stage.breaker("ai:good").get("failures", 0) == 0
