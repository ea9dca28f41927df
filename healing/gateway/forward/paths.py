"""Which paths are forwarded, and where to. The address comes from the configuration alone; the caller chooses only what follows it."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from yarl import URL

from healing.gateway.errors import DialectError

SERVICES = ("auth", "storage", "functions", "realtime", "graphql")
_STARTS = {f"/{service}/v1": service for service in SERVICES}
_BEGINNINGS = tuple(_STARTS)
NOT_SERVED = frozenset({"PGRST107", "PGRST126", "PGRST127"})
"""Errors that say: this is not served here."""
READS = ("GET", "HEAD")


def service_of(path: str) -> str | None:
    """The service that a path belongs to; None where it is not forwarded."""
    if not path.startswith(_BEGINNINGS):
        return None
    return _STARTS.get("/".join(path.split("/", 3)[:3]))


def target(base: str, raw_path: str, query: bytes) -> URL:
    """Where a request goes. Raises ``DialectError`` for a path that could mean another one over there."""
    plain = unquote_to_bytes(unquote_to_bytes(raw_path))
    if not raw_path.isascii() or b"\\" in plain or any(part in (b".", b"..") for part in plain.split(b"/")):
        raise DialectError("PGRST125", 404, "Invalid path specified in request URL", None, "Leave out '.', '..' and backslashes.")
    text = f"{base}{raw_path}"
    return URL(f"{text}?{query.decode('latin-1')}" if query else text, encoded=True)
