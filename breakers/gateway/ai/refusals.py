"""How a caller is told where he stands: ``x-ratelimit-*`` as OpenAI sends them, a 429 with its reason, a warning near a budget's end."""

from __future__ import annotations

import math

from breakers.gateway.ai.budgets import end_of, today
from breakers.gateway.ai.errors import NO_RETRY, AiError, Headers
from breakers.gateway.ai.limits import MICRO, Standing, Want
from breakers.gateway.ai.snapshot import Allowance

PLACE_AGAIN = 1.0
"""Seconds after which somebody without a place is told to try again."""


def headers_of(allowance: Allowance, standing: Standing) -> Headers:
    """The limits that there are, what is left of them, and when they are whole again."""
    found: list[tuple[str, str]] = []
    kinds = (
        ("requests", allowance.requests_per_minute, standing.requests_left, standing.requests_full),
        ("tokens", allowance.tokens_per_minute, standing.tokens_left, standing.tokens_full),
    )
    for kind, limit, left, full in kinds:
        if limit:
            found += [
                (f"x-ratelimit-limit-{kind}", str(limit)),
                (f"x-ratelimit-remaining-{kind}", str(max(left, 0))),
                (f"x-ratelimit-reset-{kind}", spoken(full)),
            ]
    return tuple(found)


def refusal(allowance: Allowance, standing: Standing, want: Want, headers: Headers) -> AiError:
    """The 429."""
    match standing.refused:
        case "budget":
            spent, until = standing.spent / MICRO, end_of(allowance.period, today())
            said = f"The budget of {allowance.hard_usd:.2f} $ a {allowance.period} is used up ({spent:.2f} $ with calls under way)."
            said += f" It begins anew on {until} (UTC)."
            return AiError(429, said, "insufficient_quota", "insufficient_quota", None, (*headers, NO_RETRY))
        case "tokens" if want.tokens > allowance.tokens_per_minute:
            said = f"The request may use {want.tokens} tokens, the limit is {allowance.tokens_per_minute} a minute: it never fits."
            said += " Send less, or a smaller max_tokens."
            return AiError(429, said, "tokens", "rate_limit_exceeded", None, (*headers, NO_RETRY))
        case "concurrency":
            said = f"{allowance.concurrency} calls of this key are under way, and no more are allowed at a time."
            return _again("requests", said, PLACE_AGAIN, headers)
        case kind:
            limit = allowance.requests_per_minute if kind == "requests" else allowance.tokens_per_minute
            return _again(kind, f"The limit of {limit} {kind} a minute is reached.", standing.wait, headers)


def warning(allowance: Allowance, standing: Standing) -> tuple[str, str] | None:
    """The header above the soft budget."""
    if allowance.soft_usd is None or standing.spent < allowance.soft_usd * MICRO:
        return None
    hard = "" if allowance.hard_usd is None else f"; hard={allowance.hard_usd:.2f}"
    return "Mendgate-Budget", f"warning; spent={standing.spent / MICRO:.4f}; soft={allowance.soft_usd:.2f}{hard}; period={allowance.period}"


def spoken(seconds: float) -> str:
    """As OpenAI says a time: ``120ms``, ``6.5s``, ``1m30s``."""
    if seconds < 1:
        return f"{math.ceil(seconds * 1000)}ms"
    minutes, rest = divmod(math.ceil(seconds * 10) / 10, 60)
    return f"{int(minutes)}m{rest:g}s" if minutes else f"{round(rest, 1):g}s"


def _again(kind: str, said: str, wait: float, headers: Headers) -> AiError:
    seconds = max(wait, 0.001)
    later = (("Retry-After", str(math.ceil(seconds))), ("retry-after-ms", str(math.ceil(seconds * 1000))))
    return AiError(429, f"{said} Try again in {spoken(seconds)}.", kind, "rate_limit_exceeded", None, (*headers, *later))
