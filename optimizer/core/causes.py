"""Kept writes, clustered by cause: which few causes hold most of them, and what kind of answer each one asks for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from healing.core.signature import read, split
from metrics.core.evidence import wilson
from optimizer.core.idea import Expected, Idea

LEAST = 5
MOST = 20
LIKELY = 0.5


class Cause(Struct, frozen=True, kw_only=True):
    """Writes that are kept for the same reason. ``best``: the likeliest open proposal (0 = there is none), ``best_op`` its first operation.
    ``types``: JSON types of the key as it was sent, with counts."""

    schema: str
    table: str
    signature: str
    writes: int
    callers: int
    best: float = 0.0
    best_op: str = ""
    types: dict[str, int] = {}
    arrived_in_week: int = 0


def common(causes: Iterable[Cause], landed_share: tuple[int, int] = (0, 0)) -> Iterator[Idea]:
    """The largest clusters. ``landed_share``: of the causes that people settled before, how many writes landed, of how many."""
    low, high = wilson(*landed_share)
    found = sorted((c for c in causes if c.writes >= LEAST), key=lambda c: (-c.writes, c.schema, c.table, c.signature))
    for cause in found[:MOST]:
        answer = answer_of(cause)
        likely = (low + high) / 2
        yield Idea(
            kind="cause", proposer="common failures", name=cause.signature, place=f"{cause.schema}.{cause.table}", new=answer,
            sentence=f"{cause.writes} writes of {cause.callers} callers to {cause.table} wait, {said(cause.signature)}: {_WORDS[answer]}.",
            evidence={"writes": cause.writes, "callers": cause.callers, "best": cause.best, "types": cause.types},
            expected=Expected("kept writes that land", cause.writes * likely, cause.writes * low, cause.writes * high, "writes"),
        )  # fmt: skip


def answer_of(cause: Cause) -> str:
    """rule (somebody has a likely fix), ddl (a name or type that the table lacks), patch (the callers send what nothing can hold).

    >>> answer_of(Cause(schema="public", table="t", signature="unknown_column:metadata", writes=61, callers=4, types={"object": 61}))
    'ddl'
    >>> answer_of(Cause(schema="public", table="t", signature="missing_value:user_id", writes=9, callers=1))
    'patch'
    """
    kinds = {read(part)[0] for part in split(cause.signature)}
    if cause.best >= LIKELY and cause.best_op != "drop_key":
        return "rule"
    if kinds <= {"unknown_column", "unknown_label", "too_long", "out_of_range"}:
        return "ddl"
    return "patch"


def said(signature: str) -> str:
    """A cause as a person reads it.

    >>> said("unknown_column:metadata + missing_value:user_id")
    'unknown column metadata and missing value user_id'
    """
    return " and ".join(f"{kind.replace('_', ' ')} {name}".strip() for kind, name in map(read, split(signature)))


_WORDS = {
    "rule": "a likely fix waits for approval",
    "ddl": "the table lacks it; a migration is the likely answer",
    "patch": "the callers' code must change; see their source patch",
}
