"""How a caller is told that nobody answered."""

from __future__ import annotations

import math

import msgspec

from breakers.core.ai.plan import GaveUp
from breakers.core.ai.verdict import HANDED_THROUGH, Kind, Verdict
from breakers.gateway.ai.errors import NO_RETRY, AiError, Headers
from breakers.refusal import Open

CANNED_INSTEAD = frozenset(Kind) - {Kind.CALLER, Kind.FILTER, Kind.LARGER}
"""After these a canned answer helps; what only the caller can mend he is told."""


def of_ending(ended: GaveUp) -> AiError:
    """The error for a request that nobody answered."""
    verdict = ended.verdict
    if verdict.kind in HANDED_THROUGH:
        return _handed_through(verdict)
    if verdict.kind is Kind.TIMEOUT:
        message = f"The AI provider did not answer in time ({verdict.reason}). Try again later, or ask another model."
        return AiError(504, message, "api_error", "upstream_timeout", None, (NO_RETRY,))
    if verdict.kind is Kind.THROTTLED:
        message = "The AI provider's rate limit is reached. Try again after the time in Retry-After."
        return AiError(429, message, "rate_limit_error", "rate_limit_exceeded", None, wait_headers(ended.retry_after))
    if verdict.kind is Kind.REFUSED:
        return AiError(503, verdict.reason, "api_error", "breaker_open", None, wait_headers(ended.retry_after))
    if verdict.kind is Kind.KEY:
        message = "The AI provider does not accept the gateway's key. An operator has to renew it in the dashboard."
        return AiError(503, message, "api_error", "no_usable_key", None, (NO_RETRY,))
    message = f"The AI provider failed ({verdict.reason}). Try again later, or ask another model."
    return AiError(502, message, "api_error", "upstream_error", None, (NO_RETRY, *wait_headers(ended.retry_after)))


def of_open(refused: Open) -> AiError:
    """The error where the whole gateway's breaker is open."""
    return AiError(503, str(refused), "api_error", "breaker_open", None, wait_headers(refused.retry_after))


def wait_headers(seconds: float | None) -> Headers:
    """When to ask again, in both spellings."""
    if seconds is None:
        return ()
    return (("Retry-After", str(max(1, math.ceil(seconds)))), ("retry-after-ms", str(max(1, math.ceil(seconds * 1000)))))


_SELF_MADE = {
    Kind.LARGER: ("This is too long for the model, and there is no larger one to ask.", "context_length_exceeded"),
    Kind.FILTER: ("The provider refused this for its content.", "content_filter"),
    Kind.MISSING: ("The provider does not know this model.", "model_not_found"),
    Kind.CALLER: ("The provider did not accept the request.", None),
}


def _handed_through(verdict: Verdict) -> AiError:
    """The provider's own words, in the shape that SDKs read."""
    message, code = _SELF_MADE[verdict.kind]
    status = 400 if verdict.kind is Kind.LARGER else verdict.status
    error = msgspec.json.decode(verdict.body)["error"] if verdict.body else {}
    said = error.get("code")
    return AiError(
        status,
        str(error.get("message") or message),
        str(error.get("type") or "invalid_request_error"),
        said if isinstance(said, str) else code,
        error["param"] if isinstance(error.get("param"), str) else None,
    )
