"""Breakers to be measured: ours in each way it can be used, and three libraries in memory and on Redis. Each is made closed, and once more
opened by real failures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import circuitbreaker
import purgatory
import pybreaker
import redis
from purgatory.domain.model import OpenedState

from breakers.registry import Open, Registry

FAILURES = 5
OPEN_SECONDS = 600


class Failing(Exception):
    """What the guarded call raises to open a breaker."""


class Way(NamedTuple):
    """One way to guard an empty call. ``call`` does it once; ``refused`` is what it raises while open."""

    who: str
    how: str
    call: Callable[[], Any]
    refused: type[BaseException]
    awaited: bool = False
    calls: int = 50_000


def work() -> None:
    """The guarded call."""


async def awork() -> None:
    """The same, awaited."""


def fail() -> None:
    raise Failing


async def afail() -> None:
    raise Failing


def ours(registry: Registry, name: str, *, opened: bool) -> list[Way]:
    """The five ways of ours, all on one breaker that is shared through Valkey."""
    breaker = registry.get(name, failure_threshold=FAILURES, timeout=OPEN_SECONDS, timeout_cap=OPEN_SECONDS)
    if opened:
        _open(lambda: breaker.execute(fail), Open)
    decorated, adecorated = breaker(work), breaker(awork)

    def managed() -> None:
        with breaker:
            work()

    async def amanaged() -> None:
        async with breaker:
            await awork()

    who = "mendgate, shared"
    return [
        Way(who, "execute(fn)", lambda: breaker.execute(work), Open, calls=200_000),
        Way(who, "with", managed, Open, calls=200_000),
        Way(who, "decorator", decorated, Open, calls=200_000),
        Way(who, "aexecute(fn)", lambda: breaker.aexecute(awork), Open, True, 100_000),
        Way(who, "async with", amanaged, Open, True, 100_000),
        Way(who, "decorator, async", adecorated, Open, True, 100_000),
    ]


def peers(redis_url: str, *, opened: bool) -> list[Way]:
    """The others, in memory and shared. (purgatory 3.0.1 shares only what is awaited: its sync storage makes an asyncio client.)"""
    name = "opened" if opened else "closed"
    client = redis.Redis.from_url(redis_url)
    storage = pybreaker.CircuitRedisStorage(pybreaker.STATE_CLOSED, client, namespace=f"pybreaker-{name}")
    return [
        _pybreaker("pybreaker, memory", pybreaker.CircuitBreaker(FAILURES, OPEN_SECONDS), 20_000, opened),
        _pybreaker("pybreaker, Redis", pybreaker.CircuitBreaker(FAILURES, OPEN_SECONDS, state_storage=storage), 500, opened),
        _circuitbreaker(name, opened),
        _purgatory("purgatory, memory", purgatory.SyncCircuitBreakerFactory(FAILURES, OPEN_SECONDS), name, 20_000, opened),
    ]


async def apeers(redis_url: str, *, opened: bool) -> list[Way]:
    """Those of the others that can be awaited."""
    name = "aopened" if opened else "aclosed"
    unit = purgatory.AsyncRedisUnitOfWork(redis_url)
    memory = purgatory.AsyncCircuitBreakerFactory(FAILURES, OPEN_SECONDS)
    shared = purgatory.AsyncCircuitBreakerFactory(FAILURES, OPEN_SECONDS, uow=unit)
    return [
        await _apurgatory("purgatory, memory", memory, name, 20_000, opened),
        await _apurgatory("purgatory, Redis", shared, name, 500, opened),
    ]


def _open(call: Callable[[], Any], refused: type[BaseException]) -> None:
    """Fails until it is refused."""
    for _ in range(FAILURES * 10):
        try:
            call()
        except refused:
            return
        except Failing:
            continue
    raise SystemExit("a breaker did not open")


def _pybreaker(who: str, breaker: Any, calls: int, opened: bool) -> Way:
    if opened:
        _open(lambda: breaker.call(fail), pybreaker.CircuitBreakerError)
    return Way(who, "call(fn)", lambda: breaker.call(work), pybreaker.CircuitBreakerError, calls=calls)


def _circuitbreaker(name: str, opened: bool) -> Way:
    breaker = circuitbreaker.CircuitBreaker(FAILURES, OPEN_SECONDS, name=name)
    if opened:
        _open(breaker(fail), circuitbreaker.CircuitBreakerError)
    return Way("circuitbreaker, memory", "decorator", breaker(work), circuitbreaker.CircuitBreakerError)


def _purgatory(who: str, factory: Any, name: str, calls: int, opened: bool) -> Way:
    factory.initialize()

    def failing() -> None:
        with factory.get_breaker(name):
            fail()

    if opened:
        _open(failing, OpenedState)
    return Way(who, "decorator", factory(name)(work), OpenedState, calls=calls)


async def _apurgatory(who: str, factory: Any, name: str, calls: int, opened: bool) -> Way:
    await factory.initialize()
    if opened:
        for _ in range(FAILURES):
            try:
                await factory(name)(afail)()
            except Failing:
                continue
    return Way(who, "decorator, async", factory(name)(awork), OpenedState, True, calls)
