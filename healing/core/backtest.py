"""What a rule would have done: to writes that were kept, and to writes that landed. To healthy traffic: ``core.healthy``.

Nothing here asks whether a rule *looks* right. Each write goes through the very function that the gateway heals with (``mend``), with
the rule in force, so what is counted is what would have happened under today's schema.

    kept writes    -> ``replayed``: healed, partly healed, blocked, not concerned, or fit today without it
    landed writes  -> ``crossed``: the rule would have stored something else than what was stored (each is a counter-example)

``Contexts`` gives what healing may know for a statement *without* the rule; None where its relation is gone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from healing.core import fixes
from healing.core.mend import Context, Mended, mend
from healing.core.signature import read, read_label, split
from healing.core.types import Json, Kind, Misfit, Rule, Statement
from schema_monitor.core.snapshot import Relation

MOST_EXAMPLES, MOST_COUNTER, MOST_REASONS = 3, 10, 8
_NAMES = frozenset({Kind.UNKNOWN_COLUMN, Kind.REUSED_NAME, Kind.UNKNOWN_TABLE, Kind.RAGGED})
"""What ``mend`` finds by itself in every row, whatever was noted when the write was kept."""
_TOLD = frozenset({Kind.CHECK, Kind.MISSING_PARENT, Kind.CONFLICT_TARGET, Kind.VERIFY, Kind.OTHER, Kind.GENERATED})
"""What only the database can say."""

_QUOTING = (re.compile(r".* (does not fit `[^`]*` \(.*\))", re.DOTALL), re.compile(r".* (in `[^`]*` is not [^`)]*)", re.DOTALL))
"""How preconditions begin with a value. What is found here is shown to people who may not see payloads, and counted by its words."""

Contexts = Callable[[Statement], Context | None]


class Case(Struct, frozen=True):
    """A write of the past. ``signature``: what did not fit when it was kept; ``done``: the ops that it landed with, where it did."""

    id: str
    statement: Statement
    signature: str = ""
    claims: Mapping[str, Json] = {}
    done: tuple[fixes.Fix, ...] = ()


class Ending(StrEnum):
    """What the rule would have made of a kept write."""

    HEALED = "healed"
    PARTLY = "partly"
    """something else would still not fit."""
    BLOCKED = "blocked"
    """it has the misfit, and a precondition of the fix does not hold."""
    OTHER = "other"
    """it does not have the misfit (any more), and does not fit for another reason."""
    NOT_NEEDED = "not needed"
    """it would land today as it is."""


class Tried(Struct, frozen=True):
    """One kept write. ``why`` where it is not healed."""

    ending: Ending
    why: str = ""


class Counter(Struct, frozen=True):
    """A case that speaks against the rule."""

    id: str
    why: str


class Replayed(Struct, frozen=True):
    """Kept writes, counted. ``examples``: healed ones of different shapes; ``against``: those that it does not heal, a few."""

    cases: int
    endings: dict[str, int]
    reasons: dict[str, int]
    examples: tuple[str, ...]
    against: tuple[Counter, ...]

    @property
    def healed(self) -> int:
        """Writes that would land by it."""
        return self.endings.get(Ending.HEALED, 0)


class Crossed(Struct, frozen=True):
    """Landed writes, counted. ``agree``: they landed with the very same fix; ``differ``: it would have stored something else."""

    cases: int
    agree: int
    differ: int
    against: tuple[Counter, ...]


def replayed(rule: Rule, cases: Iterable[Case], contexts: Contexts) -> Replayed:
    """Tries the rule on kept writes."""
    total, endings, reasons = 0, dict.fromkeys((str(e) for e in Ending), 0), dict[str, int]()
    examples, against = dict[frozenset[str], str](), list[Counter]()
    ruled = _Ruled(rule, contexts)
    for case in cases:
        tried = _try(rule, case, ruled)
        total += 1
        endings[tried.ending] += 1
        if tried.ending is Ending.HEALED:
            if len(examples) < MOST_EXAMPLES:
                examples.setdefault(_shape(case.statement), case.id)
            continue
        if tried.why:
            reasons[tried.why] = reasons.get(tried.why, 0) + 1
        if tried.ending in (Ending.PARTLY, Ending.BLOCKED) and len(against) < MOST_COUNTER:
            against.append(Counter(case.id, tried.why))
    most = dict(sorted(reasons.items(), key=lambda pair: -pair[1])[:MOST_REASONS])
    return Replayed(total, endings, most, tuple(examples.values()), tuple(against))


def try_on(rule: Rule, case: Case, contexts: Contexts) -> Tried:
    """What the rule would have made of one kept write."""
    return _try(rule, case, _Ruled(rule, contexts))


def _try(rule: Rule, case: Case, ruled: _Ruled) -> Tried:
    context = ruled.of(case)
    if context is None or context.relation is None:
        return Tried(Ending.OTHER, "its table is gone")
    mended = mend(case.statement, context, _noted(case, context.relation))
    did = _moves_table(rule, case.statement) or used(rule, mended)
    if not mended.misfits:
        return Tried(Ending.HEALED) if did else Tried(Ending.NOT_NEEDED)
    left = {misfit.signature for misfit in mended.misfits}
    if not {*split(rule.signature)} <= left:
        return Tried(Ending.PARTLY if did else Ending.OTHER, f"still does not fit: {', '.join(sorted(left)[:3])}")
    return Tried(Ending.BLOCKED, _blocked(rule, case, context.relation))


def crossed(rule: Rule, landed: Iterable[Case], contexts: Contexts) -> Crossed:
    """Tries the rule on writes that landed: with the same fix they speak for it, with another one or none against it."""
    program, ruled = fixes.program(rule.fix), _Ruled(rule, contexts)
    total, agree, against, differ = 0, 0, list[Counter](), 0
    for case in landed:
        total += 1
        if {*program} <= {*case.done}:
            agree += 1
            continue
        context = ruled.of(case)
        if context is None or not used(rule, mend(case.statement, context)):
            continue
        differ += 1
        if len(against) < MOST_COUNTER:
            against.append(Counter(case.id, "it landed otherwise: " + (", ".join(map(fixes.brief, case.done)) or "as it was sent")))
    return Crossed(total, agree, differ, tuple(against))


def _moves_table(rule: Rule, statement: Statement) -> bool:
    """A rule that says what an unknown table is called is used before the row is looked at; ``contexts`` then gives that table's."""
    match fixes.program(rule.fix):
        case (fixes.RenameTable(source),):
            return source == statement.table
    return False


class _Ruled:
    """What healing may know with the rule in force: made once a table, as long as the caller's claims do not matter."""

    def __init__(self, rule: Rule, contexts: Contexts) -> None:
        self._rule, self._contexts = rule, contexts
        self._made: dict[int, tuple[Context, Context]] = {}  # by identity; the first of each is held, so that none is mistaken

    def of(self, case: Case) -> Context | None:
        """For a case's statement and claims."""
        known = self._contexts(case.statement)
        if known is None or case.claims:
            return None if known is None else in_force(self._rule, known, case.claims)
        if id(known) not in self._made:
            self._made[id(known)] = known, in_force(self._rule, known, {})
        return self._made[id(known)][1]


def in_force(rule: Rule, context: Context, claims: Mapping[str, Json]) -> Context:
    """What healing may know with the rule in force, ahead of what is there for the same misfits (it would take its place)."""
    others = tuple(other for other in context.rules if other.signature != rule.signature)
    return replace(context, rules=(rule, *others), claims=claims)


def used(rule: Rule, mended: Mended) -> bool:
    """Whether the rule did anything."""
    return any(applied.rule == rule.id for applied in mended.applied)


def _noted(case: Case, relation: Relation) -> tuple[Misfit, ...]:
    """What the database said when the write was kept, where nothing but the database can tell."""
    found = []
    for part in split(case.signature):
        word, column = read(part)
        kind = Kind(word) if word in Kind.__members__.values() else Kind.OTHER
        if kind in _NAMES or not part:
            continue
        if kind is Kind.MISSING_VALUE:
            without = tuple(i for i, row in enumerate(case.statement.rows) if row.get(column) is None)
            found += [Misfit(kind, column, None, "", without)] if without else []
        elif kind in _TOLD or (len(case.statement.rows) == 1 and relation.column(column) is not None):
            found.append(_spelled(kind, column))
    return tuple(found)


def _spelled(kind: Kind, rest: str) -> Misfit:
    """The misfit whose signature ends so."""
    if kind is Kind.UNKNOWN_LABEL:
        name, value = read_label(rest)
        return Misfit(kind, name, value)
    return Misfit(kind, rest)


def _blocked(rule: Rule, case: Case, relation: Relation) -> str:
    program = fixes.program(rule.fix)
    for row in case.statement.rows:
        if (why := fixes.blocked(program, row, relation, case.statement.operation)) is not None:
            found = next((match for pattern in _QUOTING if (match := pattern.fullmatch(why))), None)
            return why if found is None else f"a value {found[1]}"
    return "the caller lacks the claim that it fills from"


def _shape(statement: Statement) -> frozenset[str]:
    return frozenset(statement.rows[0]) if statement.rows else frozenset()
