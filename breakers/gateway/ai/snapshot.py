"""What the AI gateway knows, as one immutable value swapped whole: providers, models, keys, canned answers, allowances.

Rows of the control database become this (``breakers.gateway.ai.load``); a request uses one snapshot from its beginning to its end.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field


class Secret(str):
    """Text that does not show itself in logs."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Secret(…)"


class Limits(Struct, frozen=True, kw_only=True):
    """Seconds. One deadline (``total``) for a whole request, its retries and fallbacks included."""

    connect: float = 3.0
    first_token: float = 30.0
    """until the first valid content: response headers and first chunk."""
    stall: float = 20.0
    """between two chunks of a stream."""
    total: float = 120.0


class Credential(Struct, frozen=True, kw_only=True):
    """A provider's API key. ``id`` is the row's; the environment's own has ``env``."""

    id: str
    secret: Secret = field(default=Secret(""))
    lifted: int = 0
    """Unix seconds at which a person ended its rest; 0 = never."""


class Provider(Struct, frozen=True, kw_only=True):
    """Who answers: an OpenAI-compatible service. ``name`` is unique; its breaker is ``ai:<name>``."""

    name: str
    base_url: str
    """up to and with ``/v1``; no slash at the end."""
    credentials: tuple[Credential, ...] = ()
    """active ones only, in the order of use; empty = the service wants none, or (``wants_key``) all were retired."""
    wants_key: bool = False
    """whether it was ever given a key: without an active one nothing needs to be sent."""
    limits: Limits = Limits()
    headers: Mapping[str, str] = field(default_factory=dict)
    allow_private: bool = False
    """whether its address may lie in a private network."""


class Model(Struct, frozen=True, kw_only=True):
    """A model as callers name it. Prices in US dollars per million tokens."""

    name: str
    provider: str
    upstream: str
    """what its provider calls it."""
    kind: str = "chat"
    """``chat`` or ``embedding``."""
    context_tokens: int = 0
    """0 = unknown."""
    input_price: float = 0.0
    output_price: float = 0.0
    cached_price: float | None = None
    """of input tokens that the provider had in its cache; None = as ``input_price``."""
    fallbacks: tuple[str, ...] = ()
    """names of models, in the order of trial."""


class Canned(Struct, frozen=True, kw_only=True):
    """An answer for when nobody else can answer. ``model`` "" = any; ``contains`` "" = any (else the last user message has it, in
    any case)."""

    id: str
    model: str = ""
    contains: str = ""
    content: str = ""


class Allowance(Struct, frozen=True, kw_only=True):
    """What one API key (``key`` "" = each key that has no row of its own) may use. 0 or None = no limit."""

    key: str = ""
    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    concurrency: int = 0
    period: str = "month"
    """``day``, ``week`` or ``month`` (UTC), of the two below."""
    soft_usd: float | None = None
    """above it a header warns and a person is told."""
    hard_usd: float | None = None
    """above it calls are refused."""


class AiSnapshot(Struct, frozen=True, kw_only=True):
    """Everything, at one moment. ``default_model``: what healing asks, and what answers for a name that nobody knows where
    ``unknown_to_default`` is set."""

    version: int = 0
    providers: Mapping[str, Provider] = field(default_factory=dict)
    models: Mapping[str, Model] = field(default_factory=dict)
    canned: tuple[Canned, ...] = ()
    allowances: Mapping[str, Allowance] = field(default_factory=dict)
    default_model: str = ""
    unknown_to_default: bool = False
    cache_seconds: float = 0.0
    """how long answers are kept for callers that ask for the cache; 0 = the cache is off."""
    log_bodies: bool = False
    """whether redacted requests and answers are stored with the log."""
    retry_ratio: float = 0.2
    """retries (a provider asked again for the same request) per request over ten seconds, at most; see ``retry_floor``. Another
    provider, or another key after a 429, is no retry: it adds nothing to the load of one that fails."""
    retry_floor: int = 3
