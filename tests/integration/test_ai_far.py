"""The fault server itself: if it lied, every test of the AI gateway would."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.ai_faults import SIXTEEN, FarAi, Rule, far_ai
from tests.waiting import HANGS

ASK = {"model": "small", "messages": [{"role": "user", "content": "hello"}]}
SHORT = httpx.Timeout(0.3)


@pytest.fixture(scope="module")
def far() -> Iterator[FarAi]:
    with far_ai() as far:
        yield far


@pytest.fixture(autouse=True)
def fresh(far: FarAi) -> None:
    far.reset()


def ask(far: FarAi, fault: str = "", **more: object) -> httpx.Response:
    return httpx.post(far.base_url(fault) + "/chat/completions", json={**ASK, **more}, timeout=SHORT)


def with_key(far: FarAi, key: str) -> int:
    return httpx.post(far.base_url() + "/chat/completions", json=ASK, headers={"authorization": f"Bearer {key}"}).status_code


def streamed(far: FarAi, fault: str = "") -> tuple[str, bool]:
    """The content that came, and whether [DONE] did."""
    came: list[str] = []
    done = read_into(came, far, fault)
    return "".join(came), done


def read_into(came: list[str], far: FarAi, fault: str) -> bool:
    done = False
    with httpx.stream("POST", far.base_url(fault) + "/chat/completions", json={**ASK, "stream": True}, timeout=SHORT) as response:
        for line in response.iter_lines():
            if line == "data: [DONE]":
                done = True
            elif line.startswith("data:"):
                choices = json.loads(line[5:]).get("choices") or [{}]
                came.append(choices[0].get("delta", {}).get("content") or "")
    return done


def test_it_answers_well(far: FarAi) -> None:
    body = ask(far).json()
    assert body["choices"][0]["message"]["content"] == far.asked[-1].sent
    text, done = streamed(far)
    assert done and text == far.asked[-1].sent and text.count(">") == far.way.words
    assert far.asked[-1].answered is not None and far.asked[-1].closed is None


@pytest.mark.parametrize("fault", ["429-seconds", "429", "500", "503", "garbage", "html", "error-in-200", "empty-choices", "truncated"])
def test_wrong_answers_are_whole_by_http(far: FarAi, fault: str) -> None:
    response = ask(far, fault)
    assert response.status_code == (int(fault[:3]) if fault[:3].isdigit() else 200)
    try:
        assert not response.json().get("choices")
    except ValueError:
        assert fault in ("garbage", "html", "truncated")


@pytest.mark.parametrize("fault", ["connect-hang", "header-hang", "first-token-hang", "stall", "role-hang"])
def test_hangs_hang_until_the_caller_gives_up(far: FarAi, fault: str) -> None:
    with pytest.raises(httpx.TimeoutException):
        ask(far, fault)
    if fault != "connect-hang":
        deadline = time.monotonic() + HANGS
        while far.asked[-1].closed is None and time.monotonic() < deadline:
            time.sleep(0.005)
        assert far.asked[-1].closed is not None


@pytest.mark.parametrize("fault", ["cut", "cut-fin", "stall"])
def test_what_came_before_the_middle_did_come(far: FarAi, fault: str) -> None:
    came: list[str] = []
    with pytest.raises(httpx.TransportError):
        read_into(came, far, fault)
    assert "".join(came) == far.asked[-1].sent and "".join(came).count(">") == far.way.after


def test_truncated_ends_in_good_order_without_done(far: FarAi) -> None:
    assert streamed(far, "truncated") == (far.asked[-1].sent, False)


def test_a_drip_never_ends(far: FarAi) -> None:
    with httpx.stream("POST", far.base_url("drip") + "/chat/completions", json={**ASK, "stream": True}, timeout=SHORT) as response:
        for _ in response.iter_lines():
            if far.asked[-1].sent.count(">") > 5:
                break
    assert far.asked[-1].sent.count(">") > 5


def test_refused_is_refused(far: FarAi) -> None:
    with pytest.raises(httpx.ConnectError):
        ask(far, "connect-refused")


def test_rules_choose_by_key_and_heal(far: FarAi) -> None:
    far.plan(Rule("401", key="sk-bad"), Rule("503", skip=1, times=2))
    assert [with_key(far, "sk-bad"), *(with_key(far, "sk-good") for _ in range(4))] == [401, 200, 503, 503, 200]
    assert [each.fault for each in far.asked] == ["401", "", "503", "503", ""]


def test_the_design_has_sixteen(far: FarAi) -> None:
    assert len(SIXTEEN) == 16 and all(far.base_url(fault) for fault in SIXTEEN.values())


def test_odd_is_read_as_well(far: FarAi) -> None:
    assert streamed(far, "odd") == (far.asked[-1].sent, True)
    assert ask(far, "odd").json()["choices"][0]["message"]["content"].startswith("é<")
