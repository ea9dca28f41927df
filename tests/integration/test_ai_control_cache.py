"""The cache: the same question of the same caller, for as long and as much as was set, and only where both sides want it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
import redis
from msgspec.structs import replace

from breakers.gateway.ai import cache as caches
from breakers.gateway.ai.cache import Cache, is_wanted, key_of
from breakers.gateway.ai.caller import AiCaller
from breakers.gateway.ai.settings import AiSettings
from breakers.gateway.ai.snapshot import AiSnapshot
from tests.integration.ai_rows import in_loop

ADA, BOB = AiCaller("a", "service_role"), AiCaller("b", "service_role")
ASKED = {"model": "big", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def settings(valkey_url: str, tmp_path: Path) -> AiSettings:
    return AiSettings(redis_url=valkey_url, namespace="test", home=tmp_path)


def test_a_question_is_the_same_however_it_is_written_and_sent_but_not_from_somebody_else() -> None:
    same = {"stream": True, "messages": [{"content": "hi", "role": "user"}], "model": "big", "user": "u1"}
    assert key_of(ADA, ASKED) == key_of(ADA, same)
    others = [{**ASKED, "model": "small"}, {**ASKED, "seed": 1}, {**ASKED, "messages": [{"role": "system", "content": "hi"}]}]
    keys = {key_of(ADA, each) for each in [ASKED, *others]} | {key_of(BOB, ASKED), key_of(ADA, ASKED, "embeddings")}
    assert len(keys) == 6
    assert key_of(AiCaller(None, "authenticated", "ada"), ASKED) != key_of(AiCaller(None, "authenticated", "bob"), ASKED)


@pytest.mark.parametrize(
    ("header", "body", "seconds", "wanted"),
    [
        ("on", {}, 60, True), ("ON ", {"temperature": 0}, 60, True), ("on", {"temperature": 0.7}, 60, False),
        ("any", {"temperature": 0.7}, 60, True), (None, {}, 60, False), ("off", {}, 60, False), ("on", {}, 0, False),
    ],
)  # fmt: skip
def test_it_is_used_only_where_both_sides_want_it(header: str | None, body: dict[str, float], seconds: float, wanted: bool) -> None:
    assert is_wanted(header, {**ASKED, **body}, AiSnapshot(cache_seconds=seconds)) is wanted


@in_loop
async def test_answers_expire_and_together_stay_below_their_bound(settings: AiSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caches, "MOST", 1000)
    cache = Cache(settings)
    await cache.put("long", b"s" * 300, 600)
    assert await cache.get("long") == b"s" * 300
    await cache.put("long", b"s" * 300, 0.2)
    await asyncio.sleep(0.3)
    assert await cache.get("long") is None
    for n in range(10):
        await cache.put(f"k{n}", b"x" * 300, 60 + n)
        await cache.put(f"k{n}", b"x" * 300, 60 + n)
    kept = [n for n in range(10) if await cache.get(f"k{n}") is not None]
    assert kept == [7, 8, 9]
    with redis.Redis.from_url(settings.redis_url) as valkey:
        assert int(valkey.get("{test:ai-cache}:size") or 0) == 900  # type: ignore[arg-type]
    await cache.put("huge", b"x" * (caches.MOST_EACH + 1), 60)
    assert await cache.get("huge") is None
    await cache.close()


@in_loop
async def test_without_valkey_nothing_is_kept_and_nobody_waits(settings: AiSettings) -> None:
    for url in ("", "redis://127.0.0.1:1/0"):
        cache = Cache(replace(settings, redis_url=url))
        await cache.get("warm")  # imports the client
        began = time.perf_counter()
        await cache.put("k", b"x", 60)
        assert await cache.get("k") is None
        assert time.perf_counter() - began < 0.3
        await cache.close()
