"""What a provider's answer means for the call, its key, the next attempt and the breaker.

| kind      | when                                         | then                                    | breaker  |
|-----------|----------------------------------------------|-----------------------------------------|----------|
| ok        | a valid answer                               | it is the answer                        | ok       |
| failure   | 5xx, 408, no connection, a broken 200        | once more, then the next model          | failure  |
| timeout   | a limit of ours                              | the next model                          | failure  |
| throttled | 429                                          | the next key, the next model; cooled    | excluded |
| key       | 401, 402, 403 (see below)                    | the key is retired; the next key        | excluded |
|           | 403 that names no reason, the key not proven | the key rests; the next key             | excluded |
| missing   | 404; 402, 403 about this request             | the next model                          | excluded |
| larger    | the context is too long                      | the next model with a larger one        | excluded |
| filter    | refused for its content                      | handed through                          | excluded |
| caller    | any other 4xx                                | handed through                          | excluded |
| refused   | our breaker is open                          | the next model                          | -        |

No caller may be able to retire or to rest a key by what he asks: a 402 about the tokens that he wants and a 403 about a file that he
names say nothing about the key; after a 403 that names no reason the key is asked for by itself, by a question that no caller shapes
(``Verdict.sure``); and words about keys and rates count only in ``code``, ``type`` and ``status``, as a ``message`` may repeat what was
asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from breakers.core.ai.retry_after import retry_after


class Kind(StrEnum):
    """See the table above."""

    OK = "ok"
    FAILURE = "failure"
    TIMEOUT = "timeout"
    THROTTLED = "throttled"
    KEY = "key"
    MISSING = "missing"
    LARGER = "larger"
    FILTER = "filter"
    CALLER = "caller"
    REFUSED = "refused"


class Verdict(Struct, frozen=True, kw_only=True):
    """``reason`` is short and for the log; ``body`` is the provider's own words where they may be handed through."""

    kind: Kind
    reason: str = ""
    status: int = 0
    retry_after: float | None = None
    """seconds."""
    body: bytes = b""
    sure: bool = True
    """False: it may be about the request and not about the key. Then the key is asked for by itself before it is retired."""


OK = Verdict(kind=Kind.OK)
HANDED_THROUGH = frozenset({Kind.CALLER, Kind.FILTER, Kind.LARGER, Kind.MISSING})
TOO_LATE = "first_token"
"""The reason of a timeout after which the provider may ask for the question: it had it, and its answer did not come."""
_LARGER = ("context_length_exceeded", "context length", "context window", "maximum context", "context size", "too many tokens")
_FILTER = (
    "content_filter", "content_policy", "content policy", "content management policy", "moderation", "responsibleai", "flagged",
    "safety system", "safety filter", "guardrail", "prohibited_content",
)  # fmt: skip
_OWN = ("max_tokens", "max_completion_tokens", "can only afford", "access the file", "file_id", "file id")
"""What a 402 or 403 says that is about this request, not about the key."""
_NEVER = "request too large"
"""What a 429 says of a request that alone is above the limit: to rest would help nobody."""
_THROTTLED = ("rate_limit", "too_many_requests", "insufficient_quota", "resource_exhausted")
_KEY = ("invalid_api_key", "authentication_error", "billing")
_MISSING = ("model_not_found",)


def failure(reason: str, status: int = 0, after: float | None = None) -> Verdict:
    """The provider failed."""
    return Verdict(kind=Kind.FAILURE, reason=reason, status=status, retry_after=after)


def timeout(reason: str) -> Verdict:
    """A limit of ours passed: ``connect``, ``first_token``, ``stall``, ``total``."""
    return Verdict(kind=Kind.TIMEOUT, reason=reason)


def of_status(status: int, headers: Mapping[str, str], body: bytes, now: float) -> Verdict:
    """What an answer other than 2xx means. ``now`` is Unix time."""
    reason = f"status {status}"
    after = retry_after(headers, now)
    if status >= 500 or status == 408 or status < 400 or (status == 403 and body.lstrip()[:1] == b"<"):
        return failure(reason, status, after)  # a 403 as a page is of something in between, and says nothing about the key
    kind = _kind(status, telling(body), telling(body, message=False))
    handed = body if kind in HANDED_THROUGH and is_error(body) else b""
    sure = kind is not Kind.KEY or _is_sure(status, telling(body, message=False))
    return Verdict(
        kind=kind, reason=reason, status=status, retry_after=after, body=handed if sure or not is_error(body) else body, sure=sure
    )


def of_error(error: Any) -> Verdict:
    """What an error means that came inside a 200. It is a failure, unless its own code says what else."""
    text = msgspec.json.encode({"error": error})
    code = error.get("code") if isinstance(error, dict) else None
    status = int(code) if isinstance(code, int) or (isinstance(code, str) and code.isascii() and code.isdigit() and len(code) == 3) else 500
    said, coded = telling(text), telling(text, message=False)
    kind = _kind(status, said, coded) if 400 <= status < 500 else _named(said, coded)
    if kind in (None, Kind.CALLER, Kind.MISSING):
        return failure("error inside 200", status)
    handed = text if kind in HANDED_THROUGH and isinstance(error, dict) else b""
    sure = kind is not Kind.KEY or _is_sure(status, coded)
    return Verdict(kind=kind, reason="error inside 200", status=status if 400 <= status < 500 else 400, body=handed, sure=sure)


def _kind(status: int, said: str, coded: str) -> Kind:
    named = _named(said, coded)
    if status == 429:
        return Kind.LARGER if _NEVER in said else Kind.THROTTLED
    if status in (402, 403) and named is not Kind.FILTER and any(word in said for word in _OWN):
        return Kind.MISSING  # another model may have what this one has not
    if status in (401, 402, 403):
        return named if named in (Kind.FILTER, Kind.MISSING) else Kind.KEY
    if status == 413:
        return Kind.LARGER
    if status == 404:
        return Kind.MISSING
    return named if named in (Kind.LARGER, Kind.FILTER, Kind.MISSING) else Kind.CALLER


def _is_sure(status: int, coded: str) -> bool:
    """A 403 that names no reason may be about anything: a model, a region, what was asked."""
    return status != 403 or any(word in coded for word in _KEY)


def about_request(verdict: Verdict) -> Verdict:
    """The same where the key turned out to be good: another model may answer."""
    return replace(verdict, kind=Kind.MISSING, reason=f"{verdict.reason}, though the key is good", sure=True)


def _named(said: str, coded: str) -> Kind | None:
    words = (
        (Kind.LARGER, _LARGER, said), (Kind.FILTER, _FILTER, said), (Kind.THROTTLED, _THROTTLED, coded), (Kind.KEY, _KEY, coded),
        (Kind.MISSING, _MISSING, said),
    )  # fmt: skip
    return next((kind for kind, telling, where in words if any(word in where for word in telling)), None)


def telling(body: bytes, *, message: bool = True) -> str:
    """Code, type and message of an error, lower-cased; '' where there is no error to read. Not ``message``: only what no caller writes."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return ""
    value = value[0] if isinstance(value, list) and value else value
    error = value.get("error", value) if isinstance(value, dict) else None
    if isinstance(error, str):
        return error.lower() if message else ""
    if not isinstance(error, dict):
        return ""
    names = ("code", "type", "status", "message") if message else ("code", "type", "status")
    return " ".join(str(error[name]) for name in names if error.get(name) is not None).lower()


def is_error(body: bytes) -> bool:
    """Whether a body is an error in OpenAI's shape, so that SDKs can read it."""
    try:
        return isinstance(msgspec.json.decode(body, type=dict[str, Any]).get("error"), dict)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return False
