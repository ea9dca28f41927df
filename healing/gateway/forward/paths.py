"""Which paths are forwarded, and where to. The address comes from the configuration alone; the caller chooses only what follows it."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

from yarl import URL

from healing.gateway.errors import DialectError
from healing.gateway.forward.credentials import OURS, Exchange

SERVICES = ("auth", "storage", "functions", "realtime", "graphql")
_STARTS = {f"/{service}/v1": service for service in SERVICES}
_BEGINNINGS = tuple(_STARTS)
NOT_SERVED = frozenset({"PGRST107", "PGRST127"})
"""Errors that say: this is not served here."""
READS = ("GET", "HEAD")


def service_of(path: str) -> str | None:
    """The service that a path belongs to; None where it is not forwarded."""
    if not path.startswith(_BEGINNINGS):
        return None
    return _STARTS.get("/".join(path.split("/", 3)[:3]))


async def address(base: str, scope: MutableMapping[str, Any], exchange: Exchange) -> URL:
    """Where a request goes, its keys exchanged. Raises ``DialectError``."""
    raw_path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").partition("?")[0]
    query = scope["query_string"].decode("latin-1")
    asked = f"{raw_path}?{query}"
    if set(OURS.findall(unquote(unquote(asked)))) - set(OURS.findall(asked)):  # it would be read over there, but cannot be exchanged
        raise DialectError("MG400", 400, "The URL holds an API key that is written with escapes", None, "Write it as it is.")
    return target(base, await exchange(raw_path), (await exchange(query)).encode("latin-1"))


def target(base: str, raw_path: str, query: bytes) -> URL:
    """Where a request goes. Raises ``DialectError`` for a path that could mean another one over there."""
    plain = unquote_to_bytes(unquote_to_bytes(raw_path))
    if not raw_path.isascii() or b"\\" in plain or any(part.partition(b";")[0] in (b".", b"..") for part in plain.split(b"/")):
        raise DialectError("PGRST125", 404, "Invalid path specified in request URL", None, "Leave out '.', '..' and backslashes.")
    text = f"{base}{raw_path}"
    return URL(f"{text}?{query.decode('latin-1')}" if query else text, encoded=True)
