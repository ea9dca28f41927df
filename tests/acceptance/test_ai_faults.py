"""The sixteen faults, plain and streamed: bounded time, the right fallback, the right count, nothing twice, and the truth.

Everything is asked once, several at a time; the tests look at what came of it.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import pytest

from breakers.gateway.ai.snapshot import Canned, Limits
from tests.acceptance.ai_stage import AiStage, Told, ai_stage, until
from tests.ai_faults import SIXTEEN, Asked
from tests.ai_rows import model, provider, snapshot
from tests.gateway_process import Gateway
from tests.waiting import HANGS

FAULTS = list(SIXTEEN.values())
MORE = ["429-date", "429-ms", "cut-fin", "cut-at-once", "role-hang", "pings-hang", "error-in-200-plain", "error-text", "empty-body", "502"]
ALL = [*FAULTS, *MORE]
MIDDLE = {"stall", "cut", "cut-fin", "truncated", "drip"}
"""They go wrong after words went out, where the answer is streamed."""
BEFORE = [each for each in ALL if each not in MIDDLE]
FEW = [each for each in FAULTS if each not in MIDDLE]
NOT_IN_TIME = {"header-hang", "first-token-hang", "stall", "drip"}  # of whole answers
LATE = HANGS
"""No answer takes longer, on a busy machine."""
SAID = "We are sorry: please try again in a minute."
UNCOUNTED = {"429-seconds", "429", "429-date", "429-ms"}
"""Being asked to wait is no failure."""
AT_A_TIME = 6


class Case(NamedTuple):
    """A question to a provider of its own. ``resort``: ``model``, ``canned`` or ``none``; what there is to fall back to."""

    resort: str
    fault: str
    stream: bool = False

    @property
    def name(self) -> str:
        return f"{self.resort}-{self.fault}-{'stream' if self.stream else 'plain'}"


CASES = [
    *(Case("model", fault, stream) for fault in ALL for stream in (False, True)),
    *(Case("canned", fault) for fault in FAULTS),
    *(Case("canned", fault, True) for fault in FEW),
    *(Case("none", fault, stream) for fault in FEW for stream in (False, True)),
]


class Come(NamedTuple):
    """What came of everything."""

    told: dict[Case, Told]
    asked: dict[str, list[Asked]]
    calls: dict[str, dict[str, Any]]
    breakers: dict[str, dict[str, Any]]

    def well(self, told: Told) -> bool:
        """Whether the text is what the good model said in one answer, and nothing else."""
        return any(each.sent == told.text for each in self.asked["well"])


@pytest.fixture(scope="module")
def come(make_gateway: Callable[..., Gateway]) -> Come:
    with ai_stage(make_gateway) as stage:
        put(stage)
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            told = dict(zip(CASES, pool.map(lambda case: stage.ask(case.name, stream=case.stream), CASES), strict=True))
        rows = until(lambda: all_of(stage.gateway.control("SELECT * FROM breakers_aicall")))
        until(lambda: stage.breaker(f"ai:{CASES[1].name}"))
        asked: dict[str, list[Asked]] = {name: [] for name in ("well", *(case.name for case in CASES))}
        for each in stage.far.chats():
            asked[each.model].append(each)
        breakers = {row["name"]: row for row in stage.breakers()}
        return Come(told, asked, {row["model_asked"]: row for row in rows}, breakers)


def put(stage: AiStage) -> None:
    patient = Limits(connect=5, first_token=10, stall=10, total=20)
    providers, models = [provider("good", stage.far.base_url(), "sk-good", limits=patient)], [model("well", "good")]
    for case in CASES:
        providers.append(provider(case.name, stage.far.base_url(case.fault), f"sk-{case.name}"))
        models.append(model(case.name, case.name, *(["well"] if case.resort == "model" else [])))
    canned = tuple(Canned(id=case.name, model=case.name, content=SAID) for case in CASES if case.resort == "canned")
    stage.put(snapshot(providers, models, canned))


def all_of(rows: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    return rows if len(rows) >= len(CASES) else None


@pytest.mark.parametrize("fault", ALL)
def test_a_plain_answer_comes_from_the_next_model(come: Come, fault: str) -> None:
    case = Case("model", fault)
    told = come.told[case]
    assert told.seconds < LATE and (told.status == 200 or fault == "drip"), told.error
    assert len(come.asked[case.name]) <= 2
    if told.status == 200:
        assert come.well(told), "nothing of the first model may be in it"
        assert (told.served_by, told.fallback, told.model) == ("good/well", "model", "well")
    logged(come, case, "fallback" if told.status == 200 else "failed")
    counted(come, case)


@pytest.mark.parametrize("fault", BEFORE)
def test_a_stream_that_did_not_begin_comes_from_the_next_model(come: Come, fault: str) -> None:
    case = Case("model", fault, True)
    told = come.told[case]
    assert told.seconds < LATE and come.well(told)
    assert (told.status, told.done, told.error, told.torn) == (200, True, None, "")
    assert (told.served_by, told.fallback) == ("good/well", "model")
    logged(come, case, "fallback")
    counted(come, case)


@pytest.mark.parametrize("fault", sorted(MIDDLE))
def test_a_stream_that_breaks_says_so_and_nothing_comes_twice(come: Come, fault: str) -> None:
    case = Case("model", fault, True)
    told, (first,) = come.told[case], come.asked[case.name]
    assert told.seconds < LATE
    assert first.sent.startswith(told.text) and told.text.count("<") >= 3
    assert told.text == first.sent or fault == "drip", "what came in time was handed on"
    assert told.error is not None and told.error["message"] and not told.done, "an error event, and no [DONE]"
    assert not told.torn, "the stream itself ends in good order"
    assert told.events[-1].get("error") == told.error, "it is the last thing that is said"
    assert (told.served_by, told.fallback) == (f"{case.name}/{case.name}", "")
    logged(come, case, "failed")
    counted(come, case)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_canned_answer_is_the_last_resort_and_says_so(come: Come, fault: str) -> None:
    case = Case("canned", fault)
    told = come.told[case]
    assert told.seconds < LATE
    assert (told.status, told.text, told.model, told.fallback) == (200, SAID, "mendgate-canned", "canned")
    row = logged(come, case, "canned")
    assert (row["cost"] > 0) is row["estimated"] is (fault in NOT_IN_TIME), "what a provider had and did not answer is guessed"


@pytest.mark.parametrize("fault", FEW)
def test_a_canned_answer_is_streamed_where_a_stream_was_asked(come: Come, fault: str) -> None:
    case = Case("canned", fault, True)
    told = come.told[case]
    assert told.seconds < LATE
    assert (told.status, told.text, told.model, told.fallback, told.done) == (200, SAID, "mendgate-canned", "canned", True)
    assert told.finish == "stop"
    logged(come, case, "canned")


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("fault", FEW)
def test_without_any_resort_the_caller_is_told_the_truth(come: Come, fault: str, stream: bool) -> None:
    case = Case("none", fault, stream)
    told = come.told[case]
    assert told.seconds < LATE
    assert told.error is not None and set(told.error) == {"message", "type", "param", "code"}
    if fault.startswith("429"):
        assert told.status == 429 and float(told.headers["retry-after"]) > 0
    else:
        assert told.status in (502, 503, 504), told.error
    assert told.headers["content-type"].startswith("application/json"), "an error before the first word is no stream"
    assert "sk-" not in str(told.error) and "127.0.0.1" not in str(told.error)
    logged(come, case, "failed")


def test_the_good_provider_is_not_blamed(come: Come) -> None:
    row = come.breakers["ai:good"]
    assert (row["state"], row["failures"]) == ("closed", 0) and row["calls"] >= len(come.asked["well"]) - 1


def logged(come: Come, case: Case, outcome: str) -> dict[str, Any]:
    """The entry of the log says what happened, and what it cost."""
    call = come.calls[case.name]
    first, last = call["attempts"][0], call["attempts"][-1]
    assert (call["outcome"], call["stream"]) == (outcome, case.stream)
    assert call["status"] == come.told[case].status or (case.stream and case.fault in MIDDLE), "what 200 began may end as something else"
    assert first["provider"] == case.name and first["outcome"] == "failed" and first["reason"], call["attempts"]
    if outcome == "fallback":
        assert (last["provider"], last["outcome"], call["model_served"]) == ("good", "ok", "well")
        assert call["output_tokens"] == 6 and call["cost"] > 0, "what the good model took"
    return call


def counted(come: Come, case: Case) -> None:
    """The breaker counted what was a failure, and nothing else."""
    row = come.breakers[f"ai:{case.name}"]
    attempts = [each for each in come.calls[case.name]["attempts"] if each["provider"] == case.name]
    assert row["failures"] == (0 if case.fault in UNCOUNTED else len(attempts)), (row, attempts)
