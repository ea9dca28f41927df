"""Schema events over real HTTP: resumed without gaps, through kills and lost notifications."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from unittest.mock import ANY

import jwt
import psycopg
import pytest

from healing.gateway import auth, events
from schema_monitor.events import Away, Event, Feed
from tests.gateway_process import JWT_SECRET, Gateway
from tests.integration.event_stream import Reader
from tests.waiting import HANGS

_VERSION = """
INSERT INTO schema_monitor_schemaversion (epoch, taken_at, scope, fingerprint, snapshot, lineage, summary, cause)
SELECT epoch + 1, now(), scope, fingerprint, snapshot, lineage, 'made', 'command'
FROM schema_monitor_schemaversion ORDER BY epoch DESC LIMIT 1 RETURNING epoch"""
_CONNECTIONS = "SELECT pid FROM pg_stat_activity WHERE application_name = 'mendgate events' AND datname = current_database()"

REVOKE = """
from healing import keys_admin, models
keys_admin.revoke_key(models.ApiKey.objects.get(name="revoked while it listens"), "rita")
"""


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway]) -> Gateway:
    """One web process for this module."""
    gateway = make_gateway().start()
    gateway.manage("capture_schema")
    return gateway


@pytest.fixture
def key(gateway: Gateway) -> dict[str, str]:
    return {"apikey": gateway.make_key()}


def publish(gateway: Gateway, count: int = 1, *, silent: bool = False) -> int:
    """Versions as a capture stores them; ``silent`` loses the notification."""
    with psycopg.connect(gateway.control_url, autocommit=True) as control:
        for _ in range(count):
            with control.transaction():
                (epoch,) = control.execute(_VERSION).fetchone()
                if not silent:
                    control.execute("SELECT pg_notify('mendgate_snapshot', %s)", [f"schema:{epoch}"])
    return int(epoch)


def latest(gateway: Gateway) -> int:
    return int(gateway.control("SELECT max(epoch) AS n FROM schema_monitor_schemaversion")[0]["n"])


def test_a_new_listener_starts_now_and_gets_every_later_version_once(gateway: Gateway, key: dict[str, str]) -> None:
    async def go() -> None:
        stream = await Reader.open(gateway, **key)
        start = latest(gateway)
        await stream.until(start)
        assert stream.seen == [(start, "ready", {"epoch": start, "latest": start})]
        newest = await asyncio.to_thread(publish, gateway, 3)
        await stream.until(newest)
        assert stream.ids() == [start + 1, start + 2, start + 3]
        assert stream.seen[-1][2]["changes"] == []
        assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        stream.close()

    asyncio.run(go())


def test_a_listener_resumes_after_the_last_id_that_it_saw(gateway: Gateway, key: dict[str, str]) -> None:
    newest = publish(gateway, 4)

    async def go() -> None:
        for opening in ({"last": newest - 3}, {"query": f"?since={newest - 3}"}):
            stream = await Reader.open(gateway, **opening, **key)
            await stream.until(newest)
            assert stream.ids() == [newest - 2, newest - 1, newest]
            stream.close()

    asyncio.run(go())


def test_history_longer_than_what_is_kept_in_memory_is_replayed_from_the_database(gateway: Gateway, key: dict[str, str]) -> None:
    newest = publish(gateway, 330)

    async def go() -> None:
        stream = await Reader.open(gateway, 0, **key)
        await stream.until(newest)
        assert stream.ids() == list(range(1, newest + 1))
        stream.close()

    asyncio.run(go())


def test_fault_16_a_lost_notification_costs_seconds_not_versions(gateway: Gateway, key: dict[str, str]) -> None:
    async def go() -> None:
        stream = await Reader.open(gateway, **key)
        await stream.until(latest(gateway))
        newest = await asyncio.to_thread(publish, gateway, 2, silent=True)
        await stream.until(newest)
        assert stream.ids() == [newest - 1, newest]
        stream.close()

    asyncio.run(go())


def test_an_epoch_from_the_future_is_told_to_start_over(gateway: Gateway, key: dict[str, str]) -> None:
    async def go() -> None:
        stream = await Reader.open(gateway, 10**12, **key)
        newest = latest(gateway)
        await stream.until(newest)
        assert stream.seen == [(newest, "reset", {"epoch": newest, "latest": newest})]
        stream.close()

    asyncio.run(go())


@pytest.mark.parametrize(
    ("asked", "status"),
    [({}, 401), ({"apikey": "mg_nonsense"}, 401), ({"last": "soon"}, 422), ({"last": "-1"}, 422), ({"method": "POST"}, 405)],
)
def test_what_cannot_be_served_is_said_in_four_keys(gateway: Gateway, key: dict[str, str], asked: dict[str, str], status: int) -> None:
    credentials = key if "last" in asked or "method" in asked else {}

    async def go() -> None:
        stream = await Reader.open(gateway, **{**credentials, **asked})
        assert stream.status == status
        body = await stream.reader.readexactly(int(stream.headers["content-length"]))
        assert all(f'"{name}"'.encode() in body for name in ("code", "message", "details", "hint"))
        stream.close()

    asyncio.run(go())


def test_a_stream_ends_when_the_token_does(gateway: Gateway) -> None:
    token = jwt.encode({"role": "authenticated", "sub": "ann", "exp": int(time.time()) + 2}, JWT_SECRET, "HS256")

    async def go() -> None:
        stream = await Reader.open(gateway, authorization=f"Bearer {token}")
        await stream.to_the_end()

    asyncio.run(go())


def test_a_revoked_key_ends_its_stream_also_while_events_come(gateway: Gateway) -> None:
    key = gateway.make_key(name="revoked while it listens")

    async def go() -> None:
        stream = await Reader.open(gateway, apikey=key)
        await stream.until(await asyncio.to_thread(publish, gateway))
        ending = asyncio.create_task(stream.to_the_end())
        await asyncio.to_thread(gateway.manage, "shell", "-c", REVOKE)
        last = 0
        while not ending.done():
            last = await asyncio.to_thread(publish, gateway)
            await asyncio.sleep(0.1)
        await ending
        assert stream.seen[-1][0] <= last

    asyncio.run(go())


class Behind(Feed):
    """Knows that there is news, and cannot read it while ``away``."""

    away, reads = True, 0

    async def after(self, epoch: int) -> Sequence[Event]:
        self.reads += 1
        if self.away:
            raise Away
        return await super().after(epoch)


class Door:
    """Lets everybody in until it is shut."""

    shut = False

    async def caller(self, headers: Mapping[str, str]) -> auth.Caller:
        if self.shut:
            raise auth.unauthorized("PGRST301", "Unknown or revoked API key")
        return auth.make_caller(None, "service_role", {"role": "service_role"})


@pytest.mark.parametrize("back", [True, False])
def test_who_is_behind_while_the_control_database_is_away_is_kept_without_haste(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, back: bool
) -> None:
    for name, seconds in {"HEARTBEAT": 0.4, "CHECK_EVERY": 0.2, "PAUSE": 0.1}.items():
        monkeypatch.setattr(events, name, seconds)
    start, sent = latest(gateway), bytearray()
    newest = publish(gateway, 120)

    async def send(message: Any) -> None:
        sent.extend(message.get("body", b""))

    async def receive() -> Any:
        return await asyncio.get_running_loop().create_future()

    async def go() -> None:
        feed, door = Behind(gateway.control_url), Door()
        scope = {"method": "GET", "query_string": b""}
        answer = asyncio.create_task(events.Events(feed)(scope, {"last-event-id": str(start)}, receive, send, door))  # type: ignore[arg-type]
        async with asyncio.timeout(20):
            while sent.count(b":\n\n") < 3:
                await asyncio.sleep(0.05)
            assert feed.reads < 100
            if back:
                feed.away = False
                while f"id: {newest}\n".encode() not in sent:
                    await asyncio.sleep(0.05)
                assert sent.count(b"event: schema\n") == 120
            door.shut = True
            await answer

    asyncio.run(go())


def test_two_hundred_listeners_share_one_connection_and_all_hear_at_once(gateway: Gateway, key: dict[str, str]) -> None:
    async def go() -> None:
        start = latest(gateway)
        streams = await asyncio.gather(*(Reader.open(gateway, **key) for _ in range(200)))
        await asyncio.gather(*(stream.until(start) for stream in streams))
        assert gateway.control(_CONNECTIONS) == [{"pid": ANY}]
        newest = await asyncio.to_thread(publish, gateway, 2)
        await asyncio.gather(*(stream.until(newest) for stream in streams))
        assert all(stream.ids() == [newest - 1, newest] for stream in streams)
        for stream in streams:
            stream.close()

    asyncio.run(go())


def test_the_connection_is_given_back_when_the_last_listener_left(gateway: Gateway, key: dict[str, str]) -> None:
    async def go() -> None:
        stream = await Reader.open(gateway, **key)
        await stream.until(latest(gateway))
        stream.close()

    asyncio.run(go())
    until = time.monotonic() + HANGS
    while gateway.control(_CONNECTIONS):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_who_leaves_as_news_come_leaves_no_follower(gateway: Gateway) -> None:
    async def go() -> None:
        feed = Feed(gateway.control_url)
        for steps in range(6):
            async with asyncio.timeout(20) as limit, feed.open():
                await feed.latest()
                await asyncio.sleep(0.05)
                feed._ring(None, 0, "", "schema:1")
                for _ in range(steps):
                    await asyncio.sleep(0)
            assert not limit.expired()
        assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []

    asyncio.run(go())


class Overtaken(Feed):
    """Another version is stored between the two questions of each look."""

    between: Callable[[], object]

    async def _fetch_latest(self) -> int:
        newest = await super()._fetch_latest()
        await asyncio.to_thread(self.between)
        return newest


def test_a_version_that_comes_during_a_look_is_told_once(gateway: Gateway) -> None:
    async def go() -> None:
        feed, start = Overtaken(gateway.control_url), latest(gateway)
        feed.between = lambda: publish(gateway, silent=True)
        async with asyncio.timeout(20), feed.open():
            await feed.latest()
            for _ in range(3):
                seen = await feed.latest()
                feed._ring(None, 0, "", "schema:1")
                await feed.wait(seen)
            told = [event.epoch for event in await feed.after(start)]
        assert told == sorted(set(told))

    asyncio.run(go())


def test_fault_16_no_version_is_missed_over_a_kill_and_a_restart_of_the_web_process(gateway: Gateway, key: dict[str, str]) -> None:
    async def go() -> None:
        stream = await Reader.open(gateway, **key)
        first = await asyncio.to_thread(publish, gateway)
        await stream.until(first)
        await asyncio.to_thread(gateway.kill9)
        with pytest.raises(asyncio.IncompleteReadError):
            await stream.until(10**9)
        stream.close()
        newest = await asyncio.to_thread(publish, gateway, 3)
        await asyncio.to_thread(gateway.start)
        again = await Reader.open(gateway, stream.seen[-1][0], **key)
        await again.until(newest)
        assert stream.ids() + again.ids() == list(range(first, newest + 1))
        again.close()

    asyncio.run(go())


def test_a_stop_ends_streams_cleanly_and_at_once(gateway: Gateway, key: dict[str, str]) -> None:
    async def go() -> None:
        stream = await Reader.open(gateway, **key)
        await stream.until(latest(gateway))
        begun = time.monotonic()
        stopping = asyncio.to_thread(gateway.stop)
        await asyncio.gather(stopping, stream.to_the_end())
        assert time.monotonic() - begun < 9  # at ten it would be killed

    asyncio.run(go())
    gateway.start()
