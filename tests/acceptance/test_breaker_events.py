"""Breakers' changes as a stream, and the API while Valkey is away, on two web workers: over real HTTP."""

from __future__ import annotations

import json
import os
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import redis

from resilience_site.embedded import EmbeddedValkey
from tests.acceptance.test_breaker_api import API, QUICK, acquire, report, state, wait_for
from tests.gateway_process import Gateway
from tests.waiting import HANGS

REVOKE = """
from healing import keys_admin, models
keys_admin.revoke_key(models.ApiKey.objects.get(name="revoked while it hears of breakers"), "rita")
"""
Told = tuple[str, str, Any]
"""Id, name and data of an event."""


@pytest.fixture(scope="module")
def own_valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    """One of our own, to stop and to empty."""
    with EmbeddedValkey(tmp_path_factory.mktemp("events")) as server:
        yield server


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway], own_valkey: EmbeddedValkey) -> Iterator[Gateway]:
    """Two web workers."""
    gateway = make_gateway(REDIS_URL=own_valkey.url, WEB_CONCURRENCY="2").start()
    yield gateway
    gateway.stop()


@pytest.fixture(scope="module")
def api(gateway: Gateway) -> Iterator[httpx.Client]:
    """A service_role key; each request on a connection of its own, so that both workers are asked."""
    with gateway.client(connection="close") as client:
        yield client


@pytest.fixture
def name() -> str:
    """A breaker that no other test has."""
    return f"e-{uuid.uuid4().hex[:8]}"


@contextmanager
def listening(gateway: Gateway, last: str = "", key: str = "") -> Iterator[Iterator[Told]]:
    """A stream of events."""
    headers = {"apikey": key or gateway.make_key()} | ({"last-event-id": last} if last else {})
    with httpx.stream("GET", f"{gateway.base_url}{API}/events", headers=headers) as answer:
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        yield told(answer.iter_lines())


def told(lines: Iterator[str]) -> Iterator[Told]:
    """The events in lines of text."""
    fields: dict[str, str] = {}
    deadline = time.monotonic() + HANGS
    for line in lines:
        assert time.monotonic() < deadline, "the event never came"
        if line:
            key, _, value = line.partition(": ")
            fields[key] = value
        elif "data" in fields:
            yield fields["id"], fields["event"], json.loads(fields["data"])
            fields = {}


def of(stream: Iterator[Told], name: str, wanted: str) -> tuple[str, Any]:
    """The next event of that breaker in that state: its id and data."""
    return next((at, data) for at, kind, data in stream if kind == "breaker" and data["name"] == name and data["state"] == wanted)


def opened(api: httpx.Client, name: str, **settings: Any) -> None:
    """Opens it by four failures."""
    acquire(api, name, **{**QUICK, **settings})
    report(api, name, *["failure"] * 4)


def everywhere(api: httpx.Client, name: str) -> set[str]:
    """How it stands, by several answers of both workers; one that has not heard of it says 404."""
    answers = [api.get(f"{API}/{name}") for _ in range(6)]
    return {answer.json()["state"] if answer.status_code == 200 else "unknown" for answer in answers}


@contextmanager
def stopped(own_valkey: EmbeddedValkey) -> Iterator[None]:
    """Valkey hangs for as long as the block runs."""
    pid = own_valkey.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_stream_begins_with_all_breakers_and_tells_each_change_once(gateway: Gateway, api: httpx.Client, name: str) -> None:
    earlier = f"{name}-earlier"
    opened(api, earlier, timeout=60)
    with listening(gateway) as stream:
        _, kind, data = next(stream)
        assert kind == "ready"
        assert {each["name"]: each["state"] for each in data["breakers"]}[earlier] == "open"
        opened(api, name, timeout=60)
        _, change = of(stream, name, "open")
        assert (change["before"], change["why"]["rule"]) == ("closed", "failure rate")
        assert 48_000 <= change["remaining_ms"] <= 72_000
        opened(api, f"{name}-2", timeout=60)
        _, kind, data = next(stream)
        assert (kind, data["name"]) == ("breaker", f"{name}-2")


def test_fault_16_a_stream_goes_on_after_the_last_id_on_any_worker(gateway: Gateway, api: httpx.Client, name: str) -> None:
    with listening(gateway) as stream:
        last, _, _ = next(stream)
    names = [f"{name}-{n}" for n in range(6)]
    for each in names:
        opened(api, each, timeout=60)
    for _ in range(3):
        with listening(gateway, last) as stream:
            assert next(stream)[1] == "ready"
            assert [next(stream)[2]["name"] for _ in names] == names


def test_an_id_that_is_none_is_refused(gateway: Gateway) -> None:
    for last in ("soon", "1", "1-2-3", "-1-0"):
        answer = httpx.get(f"{gateway.base_url}{API}/events", headers={"apikey": gateway.make_key(), "last-event-id": last})
        assert (answer.status_code, answer.json()["code"]) == (422, "MG422")


def test_who_hears_nothing_that_is_not_hers(gateway: Gateway, api: httpx.Client, name: str) -> None:
    key = gateway.manage("create_api_key", "--role", "authenticated", "--name", "reader").strip()
    with listening(gateway, key=key) as stream:
        next(stream)
        opened(api, name, timeout=60)
        assert "why" not in of(stream, name, "open")[1]


def test_a_revoked_key_ends_its_stream(gateway: Gateway) -> None:
    key = gateway.make_key(name="revoked while it hears of breakers")
    with listening(gateway, key=key) as stream:
        next(stream)
        gateway.manage("shell", "-c", REVOKE)
        list(stream)  # it ends


def test_trials_are_counted_whichever_worker_hears_of_them(api: httpx.Client, name: str) -> None:
    opened(api, name, timeout=0.3, permits=5)
    wait_for(lambda: {state(api, name)["state"] for _ in range(6)} == {"half_open"})
    tokens = [each["token"] for each in (acquire(api, name) for _ in range(20)) if each["allowed"]]
    assert len(tokens) == 5
    assert sum(report(api, name, {"outcome": "ok", "token": token})["counted"] for token in tokens) == 5
    wait_for(lambda: {state(api, name)["state"] for _ in range(6)} == {"closed"})


def test_without_valkey_calls_go_on_and_each_worker_counts_alone(
    gateway: Gateway, api: httpx.Client, own_valkey: EmbeddedValkey, name: str
) -> None:
    acquire(api, name, **QUICK)
    with listening(gateway) as stream:
        next(stream)
        with stopped(own_valkey):
            assert all(acquire(api, name)["allowed"] for _ in range(10))
            assert [report(api, name, *["failure"] * 4)["counted"] for _ in range(12)] == [4] * 12
            wait_for(lambda: {state(api, name)["state"] for _ in range(6)} <= {"open", "half_open"})
            last, change = of(stream, name, "open")
            assert change["shared"] is False
            wait_for(lambda: (granted := acquire(api, name))["allowed"] and granted["token"].startswith("here."))
    wait_for(lambda: all(state(api, name)["shared"] for _ in range(6)))
    # a worker may count its first report alone, the way back is that short ago; the service goes on failing
    wait_for(lambda: opened(api, f"{name}-shared", timeout=60) or everywhere(api, f"{name}-shared") == {"open"})
    with listening(gateway, last) as stream:
        assert next(stream)[1] in ("ready", "reset")


def test_an_emptied_valkey_starts_the_stream_anew(gateway: Gateway, api: httpx.Client, own_valkey: EmbeddedValkey, name: str) -> None:
    opened(api, name, timeout=60)
    with listening(gateway) as stream:
        last, _, _ = next(stream)
    with redis.Redis.from_url(own_valkey.url) as client:
        client.flushall()
    report(api, name, "ok")  # what comes first must not be taken for the whole story
    with listening(gateway, last) as stream:
        _, kind, data = next(stream)
        assert kind == "reset"
        if {each["name"]: each["state"] for each in data["breakers"]}.get(
            name
        ) != "open":  # this worker hears it a moment later, and says so
            of(stream, name, "open")


def test_a_stop_ends_streams_cleanly_and_at_once(gateway: Gateway) -> None:
    with listening(gateway) as stream:
        next(stream)
        begun = time.monotonic()
        gateway.stop()
        list(stream)
        assert time.monotonic() - begun < 9  # at ten it would be killed
    gateway.start()
