"""What became of each call of the AI gateway, and how it gets into the control database."""

from __future__ import annotations

from msgspec import Struct, field


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
    seconds: float = 0.0
    first_token_seconds: float | None = None
    attempts: list[Attempt] = field(default_factory=list)
    error: str = ""
    request_body: bytes | None = None
    answer_body: bytes | None = None
