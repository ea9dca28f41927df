"""CORS: any origin may call (the key decides what it may do), and every header that clients read is exposed."""

from __future__ import annotations

from collections.abc import Mapping

from healing.gateway.answer import Answer

_METHODS = "GET, POST, PATCH, PUT, DELETE, OPTIONS, HEAD"
_USUAL = "authorization, apikey, content-type, prefer, x-client-info, accept-profile, content-profile, range, idempotency-key"
EXPOSED = (
    "Content-Encoding, Content-Location, Content-Range, Content-Type, Content-Profile, Date, Location, Preference-Applied, "
    "Retry-After, Mendgate-Receipt, Mendgate-Quarantine, Mendgate-Healed, Mendgate-Changed, Mendgate-Partial, Mendgate-Idempotent, "
    "Mendgate-Transaction, Mendgate-Served-By, Mendgate-Fallback, Mendgate-Cache, "
    "X-Request-Id, X-RateLimit-Limit-Requests, X-RateLimit-Remaining-Requests, "
    "X-RateLimit-Reset-Requests, X-RateLimit-Limit-Tokens, X-RateLimit-Remaining-Tokens, X-RateLimit-Reset-Tokens"
)


def cors_headers(origin: str | None) -> list[tuple[str, str]]:
    """For an ordinary answer; nothing without an ``Origin``."""
    if origin is None:
        return []
    return [("Access-Control-Allow-Origin", "*"), ("Access-Control-Expose-Headers", EXPOSED)]


def is_preflight(method: str, headers: Mapping[str, str]) -> bool:
    """Whether a browser asks what it may send."""
    return method == "OPTIONS" and "origin" in headers and "access-control-request-method" in headers


def preflight(headers: Mapping[str, str]) -> Answer:
    """The answer to a preflight: the asked headers are echoed."""
    asked = headers.get("access-control-request-headers", "")
    clean = asked if asked.isascii() and asked.isprintable() else ""
    allowed = [
        ("Access-Control-Allow-Origin", "*"),
        ("Access-Control-Allow-Methods", _METHODS),
        ("Access-Control-Allow-Headers", clean or _USUAL),
        ("Access-Control-Expose-Headers", EXPOSED),
        ("Access-Control-Max-Age", "86400"),
        ("Vary", "Access-Control-Request-Headers"),
    ]
    return Answer(204, allowed)
