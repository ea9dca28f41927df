"""One call of the AI gateway, as it is noted, and as the row that it becomes."""

from __future__ import annotations

import uuid
from datetime import date

from msgspec import Struct, field
from msgspec.structs import replace

from breakers.core.ai.redact import redact, redact_text

HEALING = "healing"
"""Who healing is in the books: it has no API key."""
_MOST_SUMS = 5_000


class Attempt(Struct, kw_only=True):
    """One try at one provider. ``outcome``: ok, failed, refused (its breaker was open), skipped, cancelled."""

    provider: str
    model: str
    credential: str = ""
    outcome: str = "ok"
    reason: str = ""
    seconds: float = 0.0


class Call(Struct, kw_only=True):
    """One request and its end. ``id`` is a UUID as text, ``at`` Unix seconds, money in US dollars.

    ``outcome``: ok · fallback (another model answered) · canned · cached · refused (by us) · failed · cancelled (the caller left).
    ``key`` is the API key's id; None: a bare token, or healing (``purpose``). Bodies are as they went over the wire: they are redacted
    before they are stored, and stored only where the snapshot says ``log_bodies``."""

    id: str
    at: float
    key: str | None = None
    purpose: str = "edge"
    endpoint: str = "chat/completions"
    model_asked: str = ""
    model: str = ""
    """the one that this means; "" where there is none: then the name is a word of the caller's, and stands in no sum."""
    model_served: str = ""
    provider: str = ""
    stream: bool = False
    status: int = 200
    outcome: str = "ok"
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost: float = 0.0
    saved_cost: float = 0.0
    estimated: bool = False
    """whether tokens and cost are guessed, wholly or in part: a provider did not say, or did not answer in time."""
    seconds: float = 0.0
    first_token_seconds: float | None = None
    attempts: list[Attempt] = field(default_factory=list)
    error: str = ""
    request_body: bytes | None = None
    answer_body: bytes | None = None


class Row(Struct, kw_only=True):
    """As ``flush.sql`` takes it."""

    id: str
    at: float
    calls: int
    key: str
    purpose: str
    endpoint: str
    model_asked: str
    model_served: str
    model: str
    """in the day's sums."""
    provider: str
    stream: bool
    status: int
    outcome: str
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost: float
    saved_cost: float
    estimated: bool
    seconds: float
    first_token_seconds: float | None
    attempts: list[Attempt]
    error: str
    request_body: str
    answer_body: str


class Notice(Struct, frozen=True, kw_only=True):
    """That a caller passed a budget."""

    key: str
    kind: str
    period: str
    period_start: date
    spent: float
    budget: float


def who_is(key: str | None, purpose: str) -> str:
    """In the books: the API key's id, healing, or "" for a bare token."""
    return key or (HEALING if purpose == HEALING else "")


def row_of(call: Call, calls: int = 1) -> Row:
    """What is stored of a call: bounded, bodies redacted."""
    return Row(
        id=call.id,
        at=call.at,
        calls=calls,
        key=_clip(who_is(call.key, call.purpose), 36),
        purpose=_clip(call.purpose, 20),
        endpoint=_clip(call.endpoint, 40),
        model_asked=_clip(call.model_asked if call.model_asked == call.model else redact_text(call.model_asked[:1000]), 200),
        model_served=_clip(call.model_served, 200),
        model=_clip(_summed(call), 200),
        provider=_clip(call.provider, 63),
        stream=call.stream,
        status=call.status,
        outcome=_clip(call.outcome, 10),
        input_tokens=call.input_tokens,
        output_tokens=call.output_tokens,
        cached_tokens=call.cached_tokens,
        cost=call.cost,
        saved_cost=call.saved_cost,
        estimated=call.estimated,
        seconds=call.seconds,
        first_token_seconds=call.first_token_seconds,
        attempts=[replace(each, reason=_clip(redact_text(each.reason[:1000]), 500)) for each in call.attempts[:50]],
        error=redact_text(_clip(call.error, 2000)),
        request_body=redact(call.request_body) if call.request_body else "",
        answer_body=redact(call.answer_body) if call.answer_body else "",
    )


class Sums:
    """Calls whose details do not fit, added up by what the day's sums tell apart."""

    def __init__(self) -> None:
        self._held: dict[tuple[object, ...], tuple[Call, int]] = {}

    def __bool__(self) -> bool:
        return bool(self._held)

    def add(self, call: Call) -> bool:
        """Whether it was added; not where there are too many kinds already."""
        day = int(call.at // 86_400)
        model = _summed(call)
        place = (day, call.key, call.purpose, call.endpoint, model, call.provider, call.outcome)
        held = self._held.get(place)
        if held is None:
            if len(self._held) >= _MOST_SUMS:
                return False
            bare = replace(call, id=str(uuid.uuid4()), model_asked=model, attempts=[], request_body=None, answer_body=None, error=_ADDED_UP)
            self._held[place] = (bare, 1)
            return True
        total, count = held
        for each in ("input_tokens", "output_tokens", "cached_tokens", "cost", "saved_cost", "seconds"):
            setattr(total, each, getattr(total, each) + getattr(call, each))
        total.estimated |= call.estimated
        self._held[place] = (total, count + 1)
        return True

    def take(self) -> list[Row]:
        """As rows, and forgets them; ``seconds`` of a row are those of a call on average."""
        held, self._held = self._held, {}
        return [row_of(replace(call, seconds=call.seconds / count), count) for call, count in held.values()]


def _summed(call: Call) -> str:
    return call.model_served or call.model


_ADDED_UP = "Many calls, added up: the control database was away."


def _clip(text: str, most: int) -> str:
    return text[:most].replace("\0", "")
