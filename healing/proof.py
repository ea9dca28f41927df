"""The proof pack of a fix: what it would have done to everything that is stored, what it promises, and what could still make it wrong.

Bounded: the newest cases up to a number and for some seconds; the pack says how many of how many it looked at. It holds no value of
anybody's payload, only keys, counts and ids.
"""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from django.utils import timezone
from msgspec import Struct

from healing.checked_fix import checked, content_hash, plain, sentence
from healing.core import fixes
from healing.core.backtest import Crossed, Replayed, crossed, replayed
from healing.core.doubts import doubts
from healing.core.healthy import Felt, felt
from healing.core.properties import RUNS, Property, properties
from healing.core.types import Rule as CoreRule
from healing.live_schema import latest
from healing.models import Proposal, QuarantineItem, Receipt, Rule
from healing.stored_cases import Known, kept, landed
from schema_monitor import traffic
from schema_monitor.core.snapshot import Relation

MOST_SHAPES = 500
TRIAL = "trial"
"""The id of the rule that is not in force yet."""
_SEED = 20_011


class Bounds(Struct, frozen=True):
    """How much is looked at: kept cases, and how long; shapes of traffic, the most frequent first; landed writes; made-up rows."""

    cases: int
    seconds: float
    shapes: int = 500
    landed: int = 500
    runs: int = RUNS


GLANCE = Bounds(200, 0.25, shapes=120, landed=100, runs=50)
"""For a card among many."""
WHOLE = Bounds(100_000, 20.0)
"""For a page of its own, a download, a decision by evidence."""


class Pack(Struct, frozen=True):
    """Everything that was found. ``stored``: how many cases there are, ``replayed.cases`` of which were looked at."""

    made_at: datetime
    epoch: int
    fingerprint: str
    place: str
    signature: str
    fix: list[dict[str, Any]]
    content_hash: str
    sentence: str
    exact: bool
    stored: int
    replayed: Replayed
    crossed: Crossed
    felt: Felt
    days: int
    properties: tuple[Property, ...]
    doubts: tuple[str, ...]
    seconds: float

    @property
    def broken(self) -> list[str]:
        """What speaks against it, in words; empty where every test was passed."""
        found = [f"{p.says} Not so in {p.failed} of {p.runs} made-up rows." for p in self.properties if p.failed]
        if self.felt.touched:
            found.append(f"It would change {self.felt.touched} of {self.felt.requests} healthy writes of the last {self.days} days.")
        if self.crossed.differ:
            found.append(f"{self.crossed.differ} of {self.crossed.cases} writes that landed would have been stored otherwise.")
        return found


class Place(Struct, frozen=True):
    """What is to be proven: a fix for a cause."""

    schema: str
    table: str
    signature: str
    fix: list[dict[str, Any]]
    operation: str = ""
    source: str = ""


def of_proposal(proposal: Proposal, bounds: Bounds = WHOLE) -> Pack:
    """The pack of a proposed fix. ``DoesNotFit`` where it does not fit the live schema."""
    return prove(Place(proposal.schema, proposal.table, proposal.signature, proposal.fix, "", proposal.source), bounds)


def of_rule(rule: Rule, bounds: Bounds = WHOLE) -> Pack:
    """The pack of a rule, as it would be today."""
    return prove(Place(rule.schema, rule.table, rule.signature, rule.fix, rule.operation, rule.source), bounds)


def prove(place: Place, bounds: Bounds = WHOLE) -> Pack:
    """Runs every test."""
    began = time.monotonic()
    ops, relation = checked(place.fix, place.schema, place.table)
    known = _known(ops)
    trial, chance = _trial(place, ops, relation), random.Random(_SEED)  # noqa: S311 - made-up rows, the same each time
    items = QuarantineItem.objects.filter(schema=place.schema, table=place.table, signature=place.signature)
    receipts = Receipt.objects.filter(schema=place.schema, table__in={place.table, relation.name})
    shapes = traffic.recent_shapes(relation_oids=[relation.oid])[: bounds.shapes]
    tested = properties(ops, relation, known.snapshot.enums, chance, bounds.runs)
    return Pack(
        made_at=timezone.now(), epoch=known.epoch, fingerprint=relation.fingerprint, place=f"{place.schema}.{place.table}",
        signature=place.signature, fix=plain(ops), content_hash=content_hash(ops), sentence=sentence(ops),
        exact=all(fixes.is_exact(op) for op in ops), stored=items.count(),
        replayed=replayed(trial, kept(items, bounds.cases, began + bounds.seconds, claims=_claims(ops)), known),
        crossed=crossed(trial, landed(receipts, bounds.landed), known), felt=felt(trial, shapes, known, chance), days=traffic.DAYS,
        properties=tested, doubts=doubts(ops, relation), seconds=round(time.monotonic() - began, 3),
    )  # fmt: skip


def touched(place: Place) -> Felt:
    """Only what it would do to healthy traffic: for the moment of a decision."""
    ops, relation = checked(place.fix, place.schema, place.table)
    shapes = traffic.recent_shapes(relation_oids=[relation.oid])[:MOST_SHAPES]
    return felt(_trial(place, ops, relation), shapes, _known(ops), random.Random(_SEED))  # noqa: S311


def as_json(pack: Pack) -> dict[str, Any]:
    """For a download and for the rule that keeps it."""
    found: dict[str, Any] = msgspec.to_builtins({**msgspec.structs.asdict(pack), "broken": pack.broken})
    return found


def _claims(ops: Sequence[fixes.Fix]) -> bool:
    return any(isinstance(op, fixes.Fill) and op.claim is not None for op in ops)


def _known(ops: Sequence[fixes.Fix]) -> Known:
    moved = {op.source: op.target for op in ops if isinstance(op, fixes.RenameTable)}
    return Known(latest(), Rule.objects.filter(state=Rule.State.ACTIVE), moved)


def _trial(place: Place, ops: tuple[fixes.Fix, ...], relation: Relation) -> CoreRule:
    columns = fixes.bound_columns(ops, relation)
    return CoreRule(
        TRIAL, place.schema, place.table, place.operation, place.signature, fixes.dump(ops), place.source, relation.oid, columns
    )  # fmt: skip
