"""Breakers for edge functions, over real HTTP: what they may ask, what counts, and what cannot go wrong for others."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import jwt
import pytest
import redis

from tests.acceptance import deno_cases
from tests.commands import ROOT
from tests.gateway_process import JWT_SECRET, Gateway
from tests.waiting import HANGS

API = "/api/v1/breakers"
QUICK = {"failure_threshold": 4, "minimum_calls": 4, "timeout": 0.4, "permits": 2, "permit_seconds": 60.0}
LONG = {**QUICK, "timeout": 600.0}
FILE = "breakers_test.ts"
FOUR = {"code", "message", "details", "hint"}


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway]) -> Gateway:
    """One web process for this module."""
    return make_gateway().start()


@pytest.fixture(scope="module")
def api(gateway: Gateway) -> Iterator[httpx.Client]:
    """A service_role key."""
    with gateway.client() as client:
        yield client


@pytest.fixture
def name() -> str:
    """A breaker that no other test has."""
    return f"b-{uuid.uuid4().hex[:8]}"


def acquire(api: httpx.Client, name: str, **settings: Any) -> dict[str, Any]:
    """May I call?"""
    answer = api.post(f"{API}/{name}/acquire", json={"settings": settings} if settings else {})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def report(api: httpx.Client, name: str, *outcomes: str | dict[str, Any], isolate: str = "") -> dict[str, Any]:
    """How calls ended."""
    items = [{"outcome": each} if isinstance(each, str) else each for each in outcomes]
    answer = api.post(f"{API}/{name}/report", json={"reports": items, "isolate": isolate})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def state(api: httpx.Client, name: str) -> dict[str, Any]:
    """How it stands."""
    return dict(api.get(f"{API}/{name}").raise_for_status().json())


def wait_for(holds: Callable[[], Any]) -> None:
    """Until it holds."""
    deadline = time.monotonic() + HANGS
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.02)


def opened(api: httpx.Client, name: str, **settings: Any) -> None:
    """Opens it by four failures."""
    acquire(api, name, **{**QUICK, **settings})
    report(api, name, *["failure"] * 4)
    wait_for(lambda: state(api, name)["state"] != "closed")


def test_failures_open_it_and_calls_are_refused_with_the_time_to_wait(api: httpx.Client, name: str) -> None:
    first = acquire(api, name, **LONG, slow_after=1.0)
    assert (first["allowed"], first["state"], first["token"]) == (True, "closed", None)
    report(api, name, *[{"outcome": "failure", "ms": 12, "error": "no connection to 10.0.0.1, password 'secret'"}] * 4)
    refused = api.post(f"{API}/{name}/acquire")
    assert refused.json() | {"version": 0, "retry_after_ms": 0} == {
        "allowed": False, "state": "open", "version": 0, "token": None, "lease_ms": 0, "retry_after_ms": 0, "why": "4 of 4 calls failed.",
    }  # fmt: skip
    wait = refused.json()["retry_after_ms"]
    assert 400_000 < wait <= 720_000
    assert refused.headers["retry-after"] == str(-(-wait // 1000))
    whole = state(api, name)
    assert (whole["state"], whole["allows"], whole["why"]["rule"]) == ("open", "none", "failure rate")
    assert "secret" not in whole["why"]["error"]


def test_only_the_permits_go_through_in_half_open_and_success_closes_it(api: httpx.Client, name: str) -> None:
    opened(api, name)
    wait_for(lambda: state(api, name)["state"] == "half_open")
    granted = [acquire(api, name) for _ in range(10)]
    tokens = [each["token"] for each in granted if each["allowed"]]
    assert len(tokens) == len(set(tokens)) == 2 and all(tokens)
    assert all(0 < each["lease_ms"] <= 60_000 for each in granted if each["allowed"])
    assert [each["why"] for each in granted if not each["allowed"]] == ["All trial calls are taken."] * 8
    assert report(api, name, *({"outcome": "ok", "token": token} for token in tokens))["counted"] == 2
    assert state(api, name)["state"] == "closed"
    assert state(api, name)["allows"] == "some"


def test_a_permit_that_nobody_reports_comes_back_by_itself(api: httpx.Client, name: str) -> None:
    opened(api, name, permits=1, permit_seconds=1.0)
    wait_for(lambda: state(api, name)["state"] == "half_open")
    lost = acquire(api, name)
    assert lost["allowed"]
    begun = time.monotonic()
    while not (again := acquire(api, name))["allowed"]:  # asking again and again prolongs nothing
        assert time.monotonic() - begun < HANGS
        time.sleep(0.01)
    assert time.monotonic() - begun > 0.2
    assert report(api, name, {"outcome": "ok", "token": lost["token"]}) == {"counted": 0, "repeated": 0, "late": 1, "errors": []}
    assert report(api, name, {"outcome": "excluded", "token": again["token"]})["counted"] == 1
    assert acquire(api, name)["allowed"]


def test_a_failed_trial_opens_it_again_for_longer(api: httpx.Client, name: str) -> None:
    opened(api, name, permits=1)
    wait_for(lambda: state(api, name)["state"] == "half_open")
    report(api, name, {"outcome": "failure", "token": acquire(api, name)["token"]})
    assert state(api, name)["trips"] == 2


def test_sampled_successes_count_as_often_as_they_weigh(api: httpx.Client, name: str) -> None:
    acquire(api, name, **QUICK)
    report(api, name, {"outcome": "ok", "weight": 97}, *["failure"] * 3)
    found = state(api, name)
    assert (found["calls"], found["failures"], found["rate"], found["state"]) == (100, 3, 0.03, "closed")


def test_a_bad_item_costs_only_itself(api: httpx.Client, name: str) -> None:
    good = {"name": name, "outcome": "ok"}
    bad: list[Any] = [
        7, {}, {"name": name}, {**good, "outcome": "fine"}, {**good, "weight": 0}, {**good, "weight": 1001}, {**good, "weight": True},
        {**good, "outcome": "failure", "weight": 2}, {**good, "ms": -1}, {**good, "ms": "12"}, {**good, "name": "a b"},
        {**good, "nonsense": 1}, {**good, "token": 7}, {**good, "version": -1}, {**good, "name": "ai-gateway"},
        {**good, "name": "ai:openai"}, {**good, "name": "{x}"},
    ]  # fmt: skip
    answer = api.post(f"{API}/report", json=[good, *bad, good])
    assert answer.status_code == 200
    assert answer.json()["counted"] == 2
    assert [each["index"] for each in answer.json()["errors"]] == list(range(1, len(bad) + 1))
    assert all(each["message"] and each["code"] for each in answer.json()["errors"])
    assert state(api, name)["calls"] == 2


def test_a_report_that_is_sent_again_counts_once(api: httpx.Client, name: str) -> None:
    mine = {"outcome": "ok", "id": uuid.uuid4().hex}
    assert [report(api, name, mine, mine), report(api, name, mine)] == [
        {"counted": 1, "repeated": 1, "late": 0, "errors": []},
        {"counted": 0, "repeated": 1, "late": 0, "errors": []},
    ]
    for _ in range(3):
        answer = api.post(f"{API}/{name}/report", json=[{"outcome": "ok"}] * 5, headers={"Idempotency-Key": f"{name}-batch"})
        assert answer.status_code == 200
    assert state(api, name)["calls"] == 6


def test_what_was_heard_in_an_earlier_state_counts_nowhere(api: httpx.Client, name: str) -> None:
    before = acquire(api, name, **{**QUICK, "permits": 1})["version"]
    report(api, name, *["failure"] * 4)
    wait_for(lambda: state(api, name)["state"] == "half_open")
    report(api, name, {"outcome": "ok", "token": acquire(api, name)["token"]})
    assert state(api, name)["state"] == "closed"
    assert report(api, name, *[{"outcome": "failure", "version": max(before, 1)}] * 9)["late"] == 9
    assert state(api, name)["calls"] == 0


def test_one_source_alone_does_not_open_it_for_others(api: httpx.Client, name: str) -> None:
    acquire(api, name, **QUICK)
    report(api, name, "ok", isolate="healthy")
    report(api, name, *["failure"] * 40, isolate="broken")
    assert state(api, name)["state"] == "closed"
    report(api, name, "failure", isolate="third")
    why = state(api, name)["why"]
    assert (state(api, name)["state"], why["sources_active"], why["sources_failing"]) == ("open", 3, 2)


def test_a_key_is_a_bounded_number_of_sources(api: httpx.Client, gateway: Gateway, name: str) -> None:
    acquire(api, name, **{**QUICK, "failure_threshold": 1000, "minimum_calls": 1000})
    for n in range(60):
        report(api, name, "failure", isolate=f"isolate {n}")
    with redis.Redis.from_url(gateway.environment["REDIS_URL"]) as valkey:
        (key,) = valkey.keys(f"*:{name}}}:sources")
        assert valkey.zcard(key) <= 32  # each is noted as active and as failing


def test_the_snapshot_says_how_long_it_is_fresh_and_when_nothing_changed(api: httpx.Client, name: str) -> None:
    acquire(api, name, **QUICK)
    report(api, name, "ok")
    everything = api.get(API)
    assert name in [each["name"] for each in everything.json()["breakers"]]
    assert everything.headers["cache-control"] == "private, max-age=2, stale-while-revalidate=3"
    known = {"If-None-Match": api.get(f"{API}/{name}").headers["etag"]}
    report(api, name, "ok")
    again = api.get(f"{API}/{name}", headers=known)
    assert (again.status_code, again.content) == (304, b"")
    report(api, name, *["failure"] * 4)
    assert api.get(f"{API}/{name}", headers=known).json()["state"] == "open"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nothing-of-the-kind", None, 404),
        ("GET", "/a/b/c", None, 404),
        ("POST", "", b"{}", 405),
        ("GET", "/x/acquire", None, 405),
        ("DELETE", "/x", None, 405),
        ("POST", "/x/acquire", b"{", 400),
        ("POST", "/x/acquire", b"[]", 422),
        ("POST", "/x/acquire", b'{"settings":{"timeout":-1}}', 422),
        ("POST", "/x/acquire", b'{"settings":{"version":9}}', 422),
        ("POST", "/x/acquire", b'{"settings":{"failure_threshold":"many"}}', 422),
        ("POST", "/" + "x" * 101 + "/acquire", b"", 422),
        ("POST", "/%7Bx%7D/acquire", b"", 422),
        ("POST", "/a%2Fb/acquire", b"", 422),
        ("POST", "/%FF/acquire", b"", 422),
        ("POST", "/events/acquire", b"", 422),
        ("POST", "/target-database/acquire", b"", 403),
        ("POST", "/report", b"nonsense", 400),
        ("POST", "/report", b"[" * 5000, 400),
        ("POST", "/report", b"{}", 422),
        ("POST", "/report", b"[]", 422),
        ("POST", "/report", b'{"reports":[{"name":"x","outcome":"ok"}],"isolate":7}', 422),
        ("POST", "/report", b"[" + b'{"name":"x","outcome":"ok"},' * 500 + b"1]", 422),
        ("POST", "/report", b'[{"name":"x","outcome":"no"}]', 422),
        ("POST", "/report", b" " * 300_000, 413),
    ],
)
def test_what_cannot_be_is_refused_in_four_keys(api: httpx.Client, method: str, path: str, body: bytes | None, status: int) -> None:
    answer = api.request(method, API + path, content=body)
    assert answer.status_code == status, answer.text
    if path == "/report" and b"no" in (body or b"") and status == 422:
        assert answer.json()["errors"][0]["index"] == 0
    else:
        assert set(answer.json()) == FOUR


def test_who_may_do_what(gateway: Gateway, api: httpx.Client, name: str) -> None:
    acquire(api, name)
    token = jwt.encode({"role": "authenticated", "sub": "ann", "exp": int(time.time()) + 60}, JWT_SECRET, "HS256")
    scoped = {
        scope: gateway.manage("create_api_key", "--role", "authenticated", "--name", scope, "--scope", scope).strip()
        for scope in ("breakers", "data")
    }
    people = {
        "nobody": {}, "anon": {"apikey": gateway.make_key("anon")}, "user": {"authorization": f"Bearer {token}"},
        "breakers": {"apikey": scoped["breakers"]}, "data": {"apikey": scoped["data"]},
    }  # fmt: skip
    found = {}
    for who, headers in people.items():
        with httpx.Client(base_url=gateway.base_url, headers=headers) as client:
            read, write = client.get(f"{API}/{name}"), client.post(f"{API}/{name}/report", json={"outcome": "ok"})
            events = client.stream("GET", f"{API}/events")
            with events as stream:
                found[who] = (read.status_code, write.status_code, stream.status_code)
            assert ("why" in read.json()) == (who == "breakers")
    assert found == {
        "nobody": (401, 401, 401), "anon": (403, 403, 403), "user": (200, 403, 200), "breakers": (200, 200, 200), "data": (403, 403, 403),
    }  # fmt: skip


def test_names_are_bounded_for_a_key(gateway: Gateway, api: httpx.Client) -> None:
    key = gateway.manage("create_api_key", "--role", "service_role", "--name", "greedy").strip()
    headers, items = {"apikey": key}, [{"name": f"greedy-{n}", "outcome": "ok"} for n in range(103)]
    answer = httpx.post(f"{gateway.base_url}{API}/report", json=items, headers=headers).json()
    assert answer["counted"] == 100
    assert {(each["code"], each["index"]) for each in answer["errors"]} == {("MG429", 100), ("MG429", 101), ("MG429", 102)}
    assert httpx.post(f"{gateway.base_url}{API}/greedy-7/report", json=items[7], headers=headers).json()["counted"] == 1
    assert httpx.post(f"{gateway.base_url}{API}/greedy-200/acquire", headers=headers).status_code == 429
    assert acquire(api, "somebody-elses")["allowed"]


def test_a_browser_may_call(api: httpx.Client, gateway: Gateway, name: str) -> None:
    asks = {
        "Origin": "https://app.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "apikey, mendgate-isolate",
    }
    preflight = httpx.options(f"{gateway.base_url}{API}/{name}/acquire", headers=asks)
    assert (preflight.status_code, preflight.headers["access-control-allow-headers"]) == (204, "apikey, mendgate-isolate")
    for path in ("", f"/{name}", "/events"):
        with api.stream("GET", API + path, headers={"Origin": "https://app.example"}) as answer:
            assert answer.headers["access-control-allow-origin"] == "*"


# --- deno

CASES = deno_cases.cases([FILE])


@pytest.fixture(scope="module")
def results(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> deno_cases.Results:
    """Runs the file once."""
    environment = {"SUPABASE_URL": gateway.base_url, "SERVICE_KEY": gateway.make_key(), "ANON_KEY": gateway.make_key("anon")}
    return deno_cases.run([FILE], environment, tmp_path_factory.mktemp("deno"))


def test_the_howto_shows_what_is_tested() -> None:
    _, _, rest = (deno_cases.DENO / FILE).read_text("utf-8").partition("// --- docs/howto/protect-a-call.md\n")
    tested = rest.partition("// --- end")[0].replace("  pending.push(sent);\n", "").strip()
    assert tested in (ROOT / "docs/howto/protect-a-call.md").read_text("utf-8")


@deno_cases.needs_deno
@pytest.mark.parametrize(("file", "case"), CASES)
def test_an_edge_function(results: deno_cases.Results, file: str, case: str) -> None:
    deno_cases.check(results, file, case)
