"""What others fell into: keys, waits, callers that leave, answers that are odd but right, and answers that are too much."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import httpx
import pytest

from breakers.gateway.ai.snapshot import Canned, Limits, Model, Provider
from tests.acceptance.ai_stage import AiStage, ai_stage, until
from tests.ai_faults import Rule
from tests.ai_rows import QUICK, model, provider, snapshot
from tests.gateway_process import Gateway

names = count(1)
PATIENT = Limits(connect=20, first_token=20, stall=20, total=60)
"""Here nothing hangs."""


@pytest.fixture(scope="module")
def stage(make_gateway: Callable[..., Gateway]) -> Iterator[AiStage]:
    with ai_stage(make_gateway) as stage:
        yield stage


@pytest.fixture(autouse=True)
def fresh(stage: AiStage) -> None:
    stage.far.reset()


class Scene:
    """A model of its own (``name``) with providers of its own: the first with ``keys``, the others ``behind`` it in this order."""

    def __init__(self, stage: AiStage, *keys: str, behind: int = 0, limits: Limits = PATIENT, canned: str = "", context: int = 0) -> None:
        self.stage, self.number = stage, next(names)
        self.name = f"m{self.number}"
        self.behind = [f"{self.name}-next{at}" for at in range(behind)]
        base = stage.far.base_url()
        providers: list[Provider] = [provider(self.name, base, *(self.key(key) for key in keys), limits=limits)]
        models: list[Model] = [model(self.name, self.name, *self.behind)]
        for each in self.behind:
            providers.append(provider(each, base, f"sk-{each}", limits=limits))
            models.append(model(each, each))
        cans = (Canned(id=self.name, model=self.name, content=canned),) if canned else ()
        stage.put(snapshot(providers, models, cans))

    def key(self, key: str) -> str:
        """The text of one of the provider's keys."""
        return f"sk-{self.name}-{key}"

    def keys_asked(self) -> list[str]:
        """Which keys of the first provider went up, in this order."""
        return [each.key.rpartition("-")[2] for each in self.stage.asked(self.name)]


def test_a_key_that_is_throttled_rotates_and_rests(stage: AiStage) -> None:
    scene = Scene(stage, "a", "b")
    stage.far.way.wait = 30
    stage.far.plan(Rule("429-seconds", key=scene.key("a")))
    for _ in range(3):
        assert stage.ask(scene.name).status == 200
    assert scene.keys_asked() == ["a", "b", "b", "b"], "the first key rests as long as it was told"
    assert stage.breaker(f"ai:{scene.name}").get("failures", 0) == 0


def test_a_key_rests_no_longer_than_it_was_told(stage: AiStage) -> None:
    scene = Scene(stage, "a", "b")
    stage.far.way.wait = 0.3
    stage.far.plan(Rule("429-ms", key=scene.key("a"), times=1))
    assert stage.ask(scene.name).status == 200
    until(lambda: stage.ask(scene.name) and scene.keys_asked()[-1] == "a")


@pytest.mark.parametrize("fault", ["401", "402", "403"])
def test_a_key_that_is_refused_is_retired_for_good(stage: AiStage, fault: str) -> None:
    scene = Scene(stage, "a", "b")
    stage.far.plan(Rule(fault, key=scene.key("a")))
    for stream in (False, True):
        assert stage.ask(scene.name, stream=stream).status == 200
    assert scene.keys_asked() == ["a", "b", "b"]
    row = until(
        lambda: stage.gateway.control("SELECT state, why FROM breakers_aicredential WHERE label = %s AND state = 'retired'", scene.key("a"))
    )
    assert row[0]["why"]
    assert stage.breaker(f"ai:{scene.name}").get("failures", 0) == 0, "the provider is not to blame"


def test_with_all_keys_refused_the_next_model_answers(stage: AiStage) -> None:
    scene = Scene(stage, "a", "b", behind=1)
    stage.far.plan(Rule("401", model=scene.name))
    for _ in range(3):
        told = stage.ask(scene.name)
        assert (told.status, told.served_by) == (200, f"{scene.behind[0]}/{scene.behind[0]}")
    assert sorted(scene.keys_asked()) == ["a", "b"]


@pytest.mark.parametrize("fault", ["429", "429-seconds"])
def test_a_single_deployment_that_is_throttled_is_left_alone(stage: AiStage, fault: str) -> None:
    """Eleven requests were 33 attempts elsewhere."""
    scene = Scene(stage, "a")
    stage.far.way.wait = 600
    stage.far.plan(Rule(fault, model=scene.name))
    told = [stage.ask(scene.name) for _ in range(11)]
    assert {each.status for each in told} == {429}
    assert all(float(each.headers["retry-after"]) > 0 for each in told)
    assert len(stage.asked(scene.name)) <= 2


def test_a_chain_of_three_goes_on_to_the_last(stage: AiStage) -> None:
    scene = Scene(stage, "a", behind=2)
    stage.far.plan(Rule("503", model=scene.name), Rule("html", model=scene.behind[0]))
    for stream in (False, True):
        told = stage.ask(scene.name, stream=stream)
        assert (told.status, told.text, told.fallback) == (200, stage.asked()[-1].sent, "model")
        assert told.served_by == f"{scene.behind[1]}/{scene.behind[1]}"


def test_an_open_breaker_is_not_asked_again(stage: AiStage) -> None:
    scene = Scene(stage, "a", behind=1)
    stage.far.plan(Rule("500", model=scene.name))
    for _ in range(12):
        assert stage.ask(scene.name).status == 200
    until(lambda: stage.breaker(f"ai:{scene.name}").get("state") == "open")
    before = len(stage.asked(scene.name))
    for _ in range(5):
        stage.ask(scene.name)
    assert len(stage.asked(scene.name)) == before
    until(lambda: "refused" in {attempt["outcome"] for attempt in stage.call(scene.name)["attempts"]})


def test_a_question_that_is_too_long_goes_to_a_larger_model(stage: AiStage) -> None:
    scene = Scene(stage, "a", behind=2)
    put_context(stage, scene, 4000, 1000, 100_000)
    for fault in ("context-length", "context-length-local"):
        stage.far.plan(Rule(fault, model=scene.name))
        told = stage.ask(scene.name)
        assert (told.status, told.served_by) == (200, f"{scene.behind[1]}/{scene.behind[1]}"), "the first one behind is smaller still"
    assert stage.breaker(f"ai:{scene.name}").get("failures", 0) == 0
    assert len(stage.asked(scene.name)) == 2, "asking again makes it no shorter"


def put_context(stage: AiStage, scene: Scene, *tokens: int) -> None:
    for name, each in zip((scene.name, *scene.behind), tokens, strict=True):
        stage.gateway.control("UPDATE breakers_aimodel SET context_tokens = %s WHERE name = %s", each, name)
    stage.put(snapshot([], []))  # which tells of it, and waits until it is known


def test_too_long_for_everyone_is_the_callers_to_know(stage: AiStage) -> None:
    scene = Scene(stage, "a", canned="sorry")
    stage.far.plan(Rule("context-length", model=scene.name))
    told = stage.ask(scene.name)
    assert told.status == 400 and told.error is not None and told.error["code"] == "context_length_exceeded"


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_content_filter_is_an_answer(stage: AiStage, stream: bool) -> None:
    scene = Scene(stage, "a", behind=1)
    stage.far.plan(Rule("content-filter", model=scene.name))
    told = stage.ask(scene.name, stream=stream)
    assert (told.status, told.finish, told.text) == (200, "content_filter", stage.asked()[-1].sent)
    stage.far.plan(Rule("content-filter-400", model=scene.name))
    told = stage.ask(scene.name, stream=stream)
    assert told.status == 400 and told.error is not None and told.error["code"] == "content_filter"
    assert len(stage.asked(scene.behind[0])) == 0 and len(stage.asked(scene.name)) == 2
    assert stage.breaker(f"ai:{scene.name}").get("failures", 0) == 0


def test_a_hundred_wrong_questions_open_nothing(stage: AiStage) -> None:
    scene = Scene(stage, "a", behind=1)
    stage.far.plan(Rule("400", model=scene.name))
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: stage.ask(scene.name).status, range(40))) == {400}
    stage.far.plan()
    assert stage.ask(scene.name).served_by == f"{scene.name}/{scene.name}"
    assert not stage.asked(scene.behind[0])


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_caller_that_leaves_is_no_failure_and_the_provider_is_let_go(stage: AiStage, stream: bool) -> None:
    scene = Scene(stage, "a", behind=1, limits=Limits(connect=1, first_token=20, stall=20, total=20))
    stage.far.way.first, stage.far.way.pace, stage.far.way.words = (0, 0.05, 400) if stream else (10, 0, 5)
    for _ in range(8):
        leave(stage, scene.name, stream)
    for asked in stage.asked(scene.name):
        until(lambda asked=asked: asked.closed)
        assert asked.closed - asked.at < (10 if not stream else 400 * 0.05), "before it would have ended by itself"
    assert not stage.asked(scene.behind[0]) and len(stage.asked(scene.name)) == 8
    assert stage.breaker(f"ai:{scene.name}").get("failures", 0) == 0
    stage.far.reset()
    assert stage.ask(scene.name).served_by == f"{scene.name}/{scene.name}"
    outcomes = until(lambda: stage.gateway.control("SELECT outcome FROM breakers_aicall WHERE model_asked = %s", scene.name)[8:] or None)
    assert outcomes


def leave(stage: AiStage, name: str, stream: bool) -> None:
    """Asks, and hangs up a moment later."""
    body = {"model": name, "messages": [{"role": "user", "content": "hello"}], "stream": stream}
    headers = {"authorization": f"Bearer {stage.key}"}
    with httpx.Client(timeout=0.3, trust_env=False) as http:
        try:
            with http.stream("POST", f"{stage.gateway.base_url}/v1/chat/completions", json=body, headers=headers) as response:
                for line in response.iter_lines():
                    if "<" in line:
                        return
        except httpx.ReadTimeout:
            return
    raise AssertionError("it was over before we left")


def test_a_stream_may_be_longer_than_first_token_and_stall(stage: AiStage) -> None:
    scene = Scene(stage, "a", limits=Limits(connect=1.0, first_token=1.2, stall=1.2, total=60))
    stage.far.way.words, stage.far.way.pace = 20, 0.08
    told = stage.ask(scene.name, stream=True)
    assert told.done and told.text == stage.asked()[-1].sent and told.seconds > 1.3


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("fault", ["odd", "gzip"])
def test_what_is_seldom_but_right_is_right(stage: AiStage, fault: str, stream: bool) -> None:
    scene = Scene(stage, "a")
    stage.far.plan(Rule(fault))
    told = stage.ask(scene.name, stream=stream)
    assert (told.status, told.done, told.error) == (200, stream, None) and told.text.endswith("> ")
    if fault == "odd":
        assert told.text == stage.asked()[-1].sent


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_an_answer_without_end_is_cut_off_and_takes_no_memory(stage: AiStage, stream: bool) -> None:
    scene = Scene(stage, "a", behind=1, limits=Limits(connect=1, first_token=4, stall=2, total=8))
    stage.far.plan(Rule("huge", model=scene.name))
    before = peak_mb(stage)
    told = stage.ask(scene.name, stream=stream)
    assert (told.status, told.served_by) == (200, f"{scene.behind[0]}/{scene.behind[0]}")
    until(lambda: stage.asked(scene.name)[0].closed)
    assert peak_mb(stage) - before < 120, "16 MiB are allowed, and the copies of a moment"


def peak_mb(stage: AiStage) -> float:
    """The most memory that a process of the gateway had so far."""
    assert stage.gateway.process is not None
    root = stage.gateway.process.pid
    group = [each for each in Path("/proc").glob("[0-9]*") if group_of(each) == root]
    lines = [line for each in group for line in (each / "status").read_text().splitlines() if line.startswith("VmHWM:")]
    return max(int(line.split()[1]) for line in lines) / 1024


def group_of(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[2])
    except OSError:
        return 0


def test_a_redirect_is_not_followed(stage: AiStage) -> None:
    scene = Scene(stage, "a", behind=1)
    stage.far.plan(Rule("redirect", model=scene.name))
    told = stage.ask(scene.name)
    assert told.status == 200 and told.served_by.startswith(scene.behind[0])
    assert not [each for each in stage.far.asked if "stolen" in each.path]


@pytest.mark.parametrize("stream", [False, True])
def test_a_key_of_ours_in_a_prompt_does_not_leave(stage: AiStage, stream: bool) -> None:
    """The question is asked without it, and the answer says so."""
    scene, key = Scene(stage, "a"), stage.gateway.make_key("anon")
    told = stage.ask(scene.name, content=f"why is {key} refused?", stream=stream)
    assert told.status == 200 and told.headers["mendgate-redacted"] == f"api_key({key[:12]}...)"
    (asked,) = stage.asked(scene.name)
    assert asked.body["messages"][0]["content"] == f"why is {key[:12]}[removed] refused?"
    assert "mendgate-redacted" not in stage.ask(scene.name, content="why is mg_key refused?", stream=stream).headers


def test_a_private_address_is_called_only_where_that_is_allowed(stage: AiStage) -> None:
    name = f"m{next(names)}"
    closed = Provider(name=name, base_url=stage.far.base_url(), limits=QUICK, allow_private=False)
    stage.put(snapshot([closed], [model(name, name)]))
    told = stage.ask(name)
    assert told.status in (502, 503) and not stage.asked()


def test_a_provider_heals_and_is_asked_again(stage: AiStage) -> None:
    scene = Scene(stage, "a", behind=1)
    stage.far.plan(Rule("503", model=scene.name, times=2))
    found = [stage.ask(scene.name).served_by.split("/")[0] for _ in range(4)]
    assert found[-1] == scene.name and len(stage.asked(scene.name)) >= 3


def test_what_is_asked_in_vain_is_limited_by_the_budget(stage: AiStage) -> None:
    """With a provider down, callers may not double what it is asked: a fifth of the last ten seconds' requests more, and three."""
    scene = Scene(stage, "a", canned="later")
    stage.put(snapshot([], [], retry_floor=3))
    stage.far.plan(Rule("500", model=scene.name, chance=0.5))
    with ThreadPoolExecutor(8) as pool:
        told = list(pool.map(lambda _: stage.ask(scene.name), range(40)))
    stage.put(snapshot([], []))
    assert {each.status for each in told} == {200}
    lately = sum(each > stage.times[-1] - 11 for each in stage.times)
    again = len(stage.asked(scene.name)) - 40
    assert 1 <= again <= 3 + lately / 5 + 1
