"""Everything that may be observed, as one closed union. Those who observe say what happened; what is counted of it is in ``count``.

Times in seconds, money in US dollars. Nothing here holds a value of a payload, a claim or a secret.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Outcome = Literal["healthy", "healed", "kept", "refused", "failed"]


class Wrote(Struct, frozen=True, tag="wrote"):
    """A write came to its end. ``outcome``: healthy (stored as sent), healed, kept (in quarantine), refused (without effect), failed
    (ours or the database's fault, without effect). ``heals``: (kind of fix, source) of each distinct fix that was applied."""

    table: str
    operation: str
    caller: str
    outcome: Outcome
    seconds: float
    rows: int = 1
    heals: tuple[tuple[str, str], ...] = ()
    changed: bool = False
    """Whether Postgres stored something differently from what was sent, with a receipt."""
    waited: float = 0.0
    """of ``seconds``: what the caller wished to wait for a proof. It is part of healing, not of writing."""


class Read(Struct, frozen=True, tag="read"):
    """A read or a function call came to its end."""

    table: str
    caller: str
    ok: bool
    seconds: float


class Replayed(Struct, frozen=True, tag="replayed"):
    """A kept write was tried again. ``source``: of the fix that made it land, or ''."""

    table: str
    outcome: Literal["landed", "failed", "conflict"]
    source: str = ""
    seconds: float = 0.0


class Reversed(Struct, frozen=True, tag="reversed"):
    """A person or a caller said that a heal was wrong, or took it back."""

    table: str
    source: str
    by: Literal["undo", "feedback"]


class Decided(Struct, frozen=True, tag="decided"):
    """A person intervened: approved, rejected, forced a breaker, …"""

    kind: str
    action: str


class BreakerMoved(Struct, frozen=True, tag="breaker_moved"):
    """A breaker came into another state, seen once for all processes."""

    breaker: str
    into: str


class Saved(Struct, frozen=True, tag="saved"):
    """A breaker spared so many calls to something that is down; ``fallbacks`` of them were answered otherwise."""

    breaker: str
    calls: int
    fallbacks: int = 0


class Asked(Struct, frozen=True, tag="asked"):
    """An AI was asked. ``saved``: what a call would have cost that was answered from the cache or otherwise."""

    model: str
    provider: str
    purpose: str
    outcome: str
    seconds: float
    first_token: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0
    saved: float = 0.0


class SchemaMoved(Struct, frozen=True, tag="schema_moved"):
    """A schema version was stored: how many changes of which severity."""

    severity: str
    changes: int


class Invalidated(Struct, frozen=True, tag="invalidated"):
    """Something known was thrown away since the schema changed."""

    cache: str


class JobRan(Struct, frozen=True, tag="job_ran"):
    """A background job ended."""

    job: str
    ok: bool
    seconds: float


class EdgeTimed(Struct, frozen=True, tag="edge_timed"):
    """What an edge function measured under one name, added up by it: calls, those of them that failed, and (seconds, how many) of them."""

    name: str
    calls: int
    errors: int
    spread: tuple[tuple[float, int], ...]


Observation = Wrote | Read | Replayed | Reversed | Decided | BreakerMoved | Saved | Asked | SchemaMoved | Invalidated | JobRan | EdgeTimed
