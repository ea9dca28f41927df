"""Tokens: those that a provider counted, and a guess where nobody did."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

_MOST = 10**9
BYTES_PER_TOKEN = 4


class Tokens(Struct, frozen=True):
    """Of one call: what went in, what came out, and what of the first the provider had in its cache."""

    sent: int = 0
    made: int = 0
    cached: int = 0


def tokens_of(value: Any) -> Tokens | None:
    """Reads OpenAI's ``usage``; None where there is none or it counts nothing."""
    if not isinstance(value, dict):
        return None
    sent, made = _count(value.get("prompt_tokens")), _count(value.get("completion_tokens"))
    if not sent and not made:
        return None
    details = value.get("prompt_tokens_details")
    cached = _count(details.get("cached_tokens")) if isinstance(details, dict) else 0
    return Tokens(sent, made, min(cached, sent))


def _count(value: Any) -> int:
    return min(value, _MOST) if isinstance(value, int) and value > 0 else 0
