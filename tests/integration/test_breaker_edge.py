"""Breakers for callers that hold no state, within one process: what they send, and Valkey that goes and comes."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis

from breakers.core.types import Outcome, State
from breakers.gateway import edge_seen
from breakers.gateway.edge import Edge
from breakers.gateway.edge_counting import Counting
from breakers.gateway.edge_errors import EdgeError
from breakers.gateway.edge_names import MOST
from breakers.gateway.edge_seen import Seen
from breakers.gateway.edge_shared import Shared
from breakers.registry import Registry
from tests.breaker_valkey import OwnValkey
from tests.waiting import HANGS

QUICK = {"settings": {"timeout": 0.3, "permits": 1}}


class Caller:
    """Somebody with a key."""

    role, subject = "service_role", ""
    scopes: tuple[str, ...] = ()

    def __init__(self, key: str = "key") -> None:
        self.key = key


class Process:
    """The endpoints of one process."""

    def __init__(self, url: str) -> None:
        self.registry, self.shared = Registry(), Shared(url, "edge")
        self.registry.connect(url, namespace="edge")
        self.registry.on_link(self.shared.linked)
        self._edge = Edge(Counting(self.registry, self.shared))

    async def post(self, path: str, value: Any = None, key: str = "key") -> Any:
        """The value of the answer. Raises ``EdgeError``."""
        body = b"" if value is None else json.dumps(value).encode()
        return (await self._edge.answer("POST", path, {}, body, Caller(key))).value

    async def away(self) -> None:
        """Until Valkey is given up."""
        await until(lambda: self.shared.away)

    async def back(self) -> None:
        """Until it is found again."""
        await until(lambda: not self.shared.away and self.registry.views()[0].shared)


@asynccontextmanager
async def process(url: str) -> AsyncIterator[Process]:
    made = Process(url)
    yield made
    made.registry.close()
    await made.shared.close()


async def until(holds: Callable[[], object]) -> None:
    ends = time.monotonic() + HANGS
    while not holds():
        assert time.monotonic() < ends, "it did not come to pass"
        await asyncio.sleep(0.005)


def test_a_duration_beyond_all_numbers_costs_only_its_item(valkey_url: str) -> None:
    async def story() -> dict[str, Any]:
        async with process(valkey_url) as here:
            good, bad = {"name": "mail", "outcome": "ok"}, {"name": "mail", "outcome": "ok", "ms": 10**400}
            return dict(await here.post("/report", [good, bad]))

    answer = asyncio.run(story())
    assert (answer["counted"], [each["index"] for each in answer["errors"]]) == (1, [1])


def test_a_trial_reported_twice_in_one_batch_ends_once() -> None:
    async def story() -> dict[str, Any]:
        with OwnValkey() as valkey:
            async with process(valkey.url) as here:
                await here.post("/mail/acquire", QUICK)
                valkey.stop()
                await here.away()
                await here.post("/mail/report", [{"outcome": "failure"}] * 6)
                await asyncio.sleep(0.5)
                token = (await here.post("/mail/acquire")).token
                return dict(await here.post("/mail/report", [{"outcome": "ok", "token": token}] * 2))

    answer = asyncio.run(story())
    assert (answer["counted"], answer["late"]) == (1, 1)


def test_one_that_opened_here_alone_closes_when_the_shared_one_is_well() -> None:
    """Valkey hung for a moment; the others saw no failure. Callers must not be told to ask for ever after."""

    async def story() -> tuple[State, State]:
        with OwnValkey() as valkey:
            async with process(valkey.url) as here:
                await here.post("/mail/acquire", QUICK)
                other = Registry()
                other.connect(valkey.url, namespace="edge", source="other")
                others = other.get("mail", timeout=0.3, permits=1)
                await until(lambda: others.version)
                others.record(Outcome.OK, count=20)
                await asyncio.sleep(0.4)
                valkey.freeze()
                await here.away()
                await here.post("/mail/report", [{"outcome": "failure"}] * 6)
                opened = here.registry.get("mail").view().state
                assert valkey._process is not None
                os.kill(valkey._process.pid, signal.SIGCONT)
                await here.back()
                await asyncio.sleep(0.5)
                assert (await here.post("/mail/acquire")).allowed
                other.close()
                return opened, here.registry.get("mail").view().state

    assert asyncio.run(story()) == (State.OPEN, State.CLOSED)


def test_names_that_valkey_forgot_do_not_fill_the_process() -> None:
    """Each empty restart of Valkey would make room for as many again, until none is left for the gateway's own."""

    async def story() -> None:
        with OwnValkey() as valkey:
            async with process(valkey.url) as here:
                for life in range(2):
                    for number in range(MOST):
                        asked = here.post(f"/n{life}-{number}/acquire", key=f"key{number // 100}")
                        if life == 0:
                            assert (await asked).allowed
                        else:
                            with pytest.raises(EdgeError, match="500 breakers"):
                                await asked
                    with valkey.client() as client:
                        client.flushall()
                assert len(here.registry.views()) <= MOST
                here.registry.get("ai:another")
                assert (await here._edge.answer("GET", "", {}, b"", Caller())).status == 200

    asyncio.run(story())


def test_an_emptied_valkey_is_told_again_which_breakers_there_are() -> None:
    """With what their first callers wished for: a process that never heard of one must not go by other settings."""

    async def story() -> tuple[float, float]:
        with OwnValkey() as valkey:
            async with process(valkey.url) as here, process(valkey.url) as there:
                await here.post("/mail/acquire", {"settings": {"timeout": 7.0}})
                with valkey.client() as client:
                    client.flushall()
                await here.post("/mail/report", {"outcome": "ok"})
                await there.post("/mail/report", {"outcome": "ok"})
                return here.registry.get("mail").settings.timeout, there.registry.get("mail").settings.timeout

    assert asyncio.run(story()) == (7.0, 7.0)


def test_a_report_that_found_no_room_is_not_taken_for_counted(valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told 429, the caller sends it again under the same id: that is no repetition."""

    async def story() -> tuple[dict[str, Any], dict[str, Any]]:
        async with process(valkey_url) as here:
            item = {"name": "mail", "outcome": "ok", "id": "once"}
            with monkeypatch.context() as full:
                full.setattr("breakers.gateway.edge_names.MOST", 0)
                first = dict(await here.post("/report", [item]))
            return first, dict(await here.post("/report", [item]))

    first, second = asyncio.run(story())
    assert ([each["code"] for each in first["errors"]], second["counted"]) == (["MG429"], 1)


def test_ids_of_reports_are_remembered_over_processes_and_bounded(valkey_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge_seen, "MOST_OF_ONE", 50)

    async def story() -> tuple[list[bool], list[bool], list[bool], int]:
        async with process(valkey_url) as here, process(valkey_url) as there:
            one, other = Seen(here.shared), Seen(there.shared)
            first = await one.fresh("ada", ["a", "b", ""])
            again = await other.fresh("ada", ["a", "c", ""])
            elses = await other.fresh("ben", ["a"])
            for number in range(10):
                await one.fresh("ada", [f"{number}-{each}" for each in range(20)])
            with redis.Redis.from_url(valkey_url) as client:
                key = here.shared.own("seen:ada")
                assert 0 < client.ttl(key) <= edge_seen.KEPT
                return first, again, elses, client.zcard(key)

    first, again, elses, kept = asyncio.run(story())
    assert (first, again, elses, kept) == ([True, True, True], [False, True, True], [True], 50)
