"""What one API key may take of the data API, through two real processes, and how callers take turns."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator

import httpx
import pytest

from healing.gateway.auth import Caller, Quota
from healing.gateway.errors import DialectError
from healing.gateway.quotas import Quotas
from tests.gateway_process import Gateway

SCHEMA = """
CREATE TABLE notes (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text);
CREATE TABLE ends (body text, at timestamptz DEFAULT clock_timestamp());
CREATE FUNCTION dawdle(seconds float8) RETURNS int LANGUAGE sql VOLATILE
    AS 'SELECT 1 FROM pg_sleep(seconds); INSERT INTO ends(body) VALUES (''noisy'') RETURNING 1';
"""


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway]) -> Iterator[Gateway]:
    """One process, and its databases."""
    gateway = make_gateway()
    gateway.sql(SCHEMA)
    gateway.manage("capture_schema")
    yield gateway.start()
    gateway.stop()


@pytest.fixture(scope="module")
def second(gateway: Gateway) -> Iterator[Gateway]:
    """Another process in front of the same databases."""
    other = Gateway(gateway.home, gateway.control_url, gateway.target_url, gateway.owner_url, gateway.environment["REDIS_URL"])
    other.cold = False
    yield other.start()
    other.stop()


def key_with(gateway: Gateway, *limits: str) -> dict[str, str]:
    """The headers of a fresh key with these limits."""
    return {"apikey": gateway.manage("create_api_key", "--role", "service_role", "--name", "limited", *limits).strip()}


def test_requests_a_minute_are_counted_over_all_processes(gateway: Gateway, second: Gateway) -> None:
    for _ in range(10):  # with a fresh key each: where Valkey does not answer in a tenth of a second, a process counts for itself
        gateway.sql("DELETE FROM notes")
        headers = key_with(gateway, "--requests-per-minute", "4")
        posts = [httpx.post(f"{at.base_url}/rest/v1/notes", json={"body": "x"}, headers=headers) for at in (gateway, second) * 3]
        if (found := [answer.status_code for answer in posts]) == [201] * 4 + [429] * 2:
            break
    assert found == [201] * 4 + [429] * 2
    said = posts[-1].json()
    assert said.keys() == {"code", "message", "details", "hint"} and said["code"] == "MG429"
    assert "4 requests a minute" in said["message"] and said["details"] == "Nothing was written."
    assert 1 <= int(posts[-1].headers["retry-after"]) <= 15
    assert len(gateway.sql("SELECT 1 FROM notes")) == 4


def test_requests_at_a_time_find_their_place_free_again(gateway: Gateway, second: Gateway) -> None:
    headers = key_with(gateway, "--at-once", "2")

    async def run() -> list[int]:
        async with httpx.AsyncClient(headers=headers) as client:
            asks = [client.post(f"{at.base_url}/rest/v1/rpc/dawdle", json={"seconds": 1.5}) for at in (gateway, second) * 3]
            at_once = [answer.status_code for answer in await asyncio.gather(*asks)]
            after = (await client.post(f"{second.base_url}/rest/v1/rpc/dawdle", json={"seconds": 0})).status_code
            return [*sorted(at_once), after]

    wanted = [200, 200, 429, 429, 429, 429, 200]
    assert wanted in (asyncio.run(run()) for _ in range(5))  # as above


def test_a_body_above_the_key_s_limit_is_refused_and_one_within_is_not(gateway: Gateway) -> None:
    headers = key_with(gateway, "--most-bytes", "100")
    sizes = [httpx.post(f"{gateway.base_url}/rest/v1/notes", content=json.dumps({"body": "y" * n}), headers=headers) for n in (80, 90)]
    assert [answer.status_code for answer in sizes] == [201, 413]
    assert "at most 100" in sizes[1].json()["message"]


def test_a_limit_that_is_changed_counts_at_once_and_says_so_in_the_audit(gateway: Gateway) -> None:
    headers = key_with(gateway, "--requests-per-minute", "1")
    gateway.control("UPDATE healing_apikey SET requests_per_minute = 0 WHERE requests_per_minute = 1")
    gateway.control("NOTIFY mendgate_snapshot, 'keys'")
    for _ in range(2000):
        answers = [httpx.get(f"{gateway.base_url}/rest/v1/notes?limit=1", headers=headers).status_code for _ in range(2)]
        if answers == [200, 200]:
            break
    assert answers == [200, 200]
    said = gateway.control("SELECT why FROM healing_decision WHERE kind = 'key' AND why LIKE '%1 requests a minute%'")
    assert said


def test_who_asks_once_does_not_wait_for_who_asks_a_thousand_times(gateway: Gateway) -> None:
    """All connections are busy and hundreds of the noisy caller's requests wait; the quiet one's comes after one of them."""
    noisy, quiet = key_with(gateway), key_with(gateway)

    async def run() -> None:
        limits = httpx.Limits(max_connections=None)
        with httpx.Client(base_url=gateway.base_url, headers=quiet) as calm:
            assert calm.get("/rest/v1/notes?limit=1").status_code == 200
            async with httpx.AsyncClient(base_url=gateway.base_url, limits=limits) as client:
                crowd = [asyncio.create_task(client.post("/rest/v1/rpc/dawdle", json={"seconds": 0.1}, headers=noisy)) for _ in range(200)]
                await asyncio.wait(crowd, return_when=asyncio.FIRST_COMPLETED)
                answer = await asyncio.to_thread(calm.post, "/rest/v1/ends", json={"body": "quiet"})
                assert answer.status_code == 201
                assert {answer.status_code for answer in await asyncio.gather(*crowd)} == {200}

    after = "SELECT count(*) AS n FROM ends WHERE at > (SELECT at FROM ends WHERE body = 'quiet')"
    for _ in range(5):  # the quiet one's may come when the others are through, where we are slower than the gateway
        gateway.sql("DELETE FROM ends")
        asyncio.run(run())
        if gateway.sql(after)[0]["n"] > 50:
            return
    raise AssertionError("it always came last")


AWAY = "redis://127.0.0.1:1/0"


def caller_with(quota: Quota) -> Caller:
    """The same key with these limits."""
    return Caller("k", "service_role", {}, "", None, None, "", quota=quota, turn="k")


def test_who_comes_while_the_limits_are_asked_for_counts_too() -> None:
    """Never more than three of four places for one key, however many come at the same moment."""

    async def run() -> list[str]:
        quotas = Quotas(AWAY, "t", 4)
        found = await asyncio.gather(*(quotas.enter(caller_with(Quota(9000)), 1) for _ in range(20)), return_exceptions=True)
        await quotas.close()
        return [each.code if isinstance(each, DialectError) else "in" for each in found]

    assert sorted(asyncio.run(run())) == ["MG503"] * 17 + ["in"] * 3


def test_nothing_is_kept_of_a_request_that_is_answered() -> None:
    """A key without places at a time: a process would remember every request of it for good."""

    async def run() -> None:
        quotas = Quotas(AWAY, "t", 40)
        for _ in range(5):
            plain = caller_with(Quota(9000))
            quotas.leave(plain, await quotas.enter(plain, 1))
        await asyncio.sleep(0.2)
        await quotas.enter(caller_with(Quota(9000, at_once=1)), 1)
        await quotas.close()

    asyncio.run(run())
