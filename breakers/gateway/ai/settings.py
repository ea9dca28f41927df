"""What the AI gateway needs to know to run; handed in by the composition root, so that nothing here reads the environment."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from msgspec import Struct

from breakers.gateway.ai.call import Call


def is_global(address: str) -> bool:
    """Whether an address belongs to the public net."""
    ip = ip_address(address.partition("%")[0])
    return ip.is_global and not ip.is_multicast


def _untraced(host: str, port: int) -> AbstractContextManager[dict[str, str]]:
    return nullcontext({})


def _cannot_unseal(blob: bytes) -> bytes:
    raise RuntimeError("the composition root gave no way to open sealed keys")


def _nobody(call: Call) -> None:
    """Nobody wants to know."""


def _as_set(name: str, own: float) -> float:
    """What the rows say."""
    return own


async def _directly(url: str, **options: Any) -> Any:
    import asyncpg

    return await asyncpg.connect(url, **options)


class AiSettings(Struct, frozen=True, kw_only=True):
    """``base_url``, ``api_key`` and ``model`` are the environment's provider. Sizes in bytes."""

    database_url: str = ""
    redis_url: str = ""
    """where processes share limits and the cache; empty = each keeps its own limits, and no cache."""
    namespace: str = "mendgate"
    """keeps several Mendgates on one Valkey apart."""
    home: Path = Path(".mendgate")
    base_url: str | None = None
    api_key: str | None = None
    model: str | None = None
    unseal: Callable[[bytes], bytes] = _cannot_unseal
    """opens what ``healing.gateway.seal`` sealed: the providers' keys."""
    public: Callable[[str], bool] = is_global
    """which addresses may be called where the provider does not allow private ones."""
    told: Callable[[Call], None] = _nobody
    """is told of each call's end, for the metrics; must be quick."""
    outward: Callable[[str, int], AbstractContextManager[dict[str, str]]] = _untraced
    """is entered around each call to a provider (its host and port); gives headers that carry a trace on."""
    tuned: Callable[[str, float], float] = _as_set
    """the value of a setting that may be tried otherwise at this moment: its name, and what the rows say."""
    connect: Callable[..., Awaitable[Any]] = _directly
    """opens a connection to the control database, as ``asyncpg.connect`` does."""
    body_limit: int = 16 * 1024 * 1024
    answer_limit: int = 16 * 1024 * 1024
    most_in_flight: int = 2_000
