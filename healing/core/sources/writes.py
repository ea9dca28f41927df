"""What is wrong with a write in source code: judged by the same core that heals writes, so that both say the same.

A payload of source code is a set of rows that may be sent. Each possible value is tried; what cannot be seen is tried as fitting, so
nothing is claimed about it but its key. A finding in every case is an error, in some cases a warning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain

from msgspec import Struct

from healing.core.fixes import dump
from healing.core.match import propose
from healing.core.match.missing import required
from healing.core.match.scene import scene_of
from healing.core.match.suggest import column_for
from healing.core.mend import Context, Mended, mend
from healing.core.ops import Fix, MapValue, RenameColumn
from healing.core.phrases import say
from healing.core.refusals import rejects
from healing.core.sources.calls import EXAMPLES, DataCall, Key, Payload, Place
from healing.core.sources.findings import Finding, Level, found
from healing.core.types import Healing, Json, Kind, Misfit, Operation, Proposal, Row, Statement
from healing.core.vet import Vet, compile_vet, labels_of
from schema_monitor.core.lineage import Lineage
from schema_monitor.core.snapshot import Relation, Snapshot

LIKELY = 0.75
"""a proposal below this is not told as the fix."""
_MOST_LABELS = 8
_CLAIMS: Mapping[str, Json] = {"sub": EXAMPLES["uuid"], "email": "a@b.example"}
"""what a caller usually has: only to see which columns it could fill."""
_RULE = {
    Kind.UNKNOWN_COLUMN: "unknown-column",
    Kind.REUSED_NAME: "reused-name",
    Kind.INVALID_VALUE: "wrong-type",
    Kind.UNKNOWN_LABEL: "unknown-label",
    Kind.OUT_OF_RANGE: "out-of-range",
    Kind.TOO_LONG: "out-of-range",
    Kind.UNTRANSLATABLE: "wrong-type",
    Kind.GENERATED: "generated-column",
    Kind.MISSING_VALUE: "null-value",
}


class World(Struct, frozen=True):
    """The schema that is judged by, and what is compiled of it for each relation (filled as it is used)."""

    snapshot: Snapshot
    lineage: Lineage
    vets: dict[int, Vet] = {}

    def vet(self, relation: Relation) -> Vet:
        """The gateway's quick check of a relation."""
        return self.vets.setdefault(relation.oid, compile_vet(relation, self.snapshot, self.lineage))


def judge_write(call: DataCall, relation: Relation, world: World) -> Iterator[Finding]:
    """Everything that is wrong with the rows of one call. Once a place and a rule."""
    told: set[tuple[Place, str, str]] = set()
    for payload in call.payloads or ():
        for finding in chain(_keys(call, payload, relation, world), _missing(call, payload, relation, world)):
            same = (finding.place, finding.rule, finding.column)
            if same not in told:
                told.add(same)
                yield finding


def _keys(call: DataCall, payload: Payload, relation: Relation, world: World) -> Iterator[Finding]:
    """Names first (no value matters), then each value that is spelled out or whose type can be seen."""
    names = _mended(call, {key.name: None for key in payload.keys}, relation, world)
    mean = {fix.source: fix.target for a in names.applied if isinstance(fix := a.fix, RenameColumn)}
    strange = tuple(m for m in names.misfits if m.kind in (Kind.UNKNOWN_COLUMN, Kind.REUSED_NAME))
    best = _best(call, payload, strange, relation, world)
    for key in payload.keys:
        misfit = next((m for m in strange if m.column == key.name), None)
        if misfit is not None:
            yield _strange(key, misfit, best, relation)
            continue
        if key.name in mean:
            message = f"`{key.name}` is called `{mean[key.name]}` now in {relation.name}"
            yield _told("renamed", key, relation, message, RenameColumn(key.name, mean[key.name]))
        yield from _values(call, key, relation, world)


def _mended(call: DataCall, row: Row, relation: Relation, world: World) -> Mended:
    """What the gateway would do to the row by itself."""
    context = Context(relation, world.snapshot, world.lineage, world.vet(relation), Healing.EXACT)
    return mend(Statement(Operation(call.operation), relation.schema, relation.name, (row,)), context)


def _best(call: DataCall, payload: Payload, strange: tuple[Misfit, ...], relation: Relation, world: World) -> Proposal | None:
    """The matcher's first proposal for all strange keys together, where it is likely."""
    if not strange:
        return None
    row = {key.name: telling(key) for key in payload.keys}
    statement = Statement(Operation(call.operation), relation.schema, relation.name, (row,))
    found = propose(statement, strange, relation, world.snapshot, claims=_CLAIMS, lineage=world.lineage)
    return next((p for p in found if p.probability >= LIKELY), None)


def telling(key: Key) -> Json:
    """A value of the key that says most about it; None where none can be seen."""
    value = next((v for v in key.value.values if v is not None), None)
    return EXAMPLES.get(key.value.kind) if value is None else value


def _strange(key: Key, misfit: Misfit, best: Proposal | None, relation: Relation) -> Finding:
    if misfit.kind is Kind.REUSED_NAME:
        return found(
            "reused-name", key.place, f"`{key.name}` may mean {misfit.expected.replace(', ', ' or ')}", table=relation.name, column=key.name
        )
    ops = tuple(op for op in best.fix if key.name in (op.get("from"), op.get("column"))) if best is not None else ()
    fix = f"`{ops[0]['to']}` is probably meant" if ops and ops[0]["op"] == "rename_column" else ""
    return found(
        "unknown-column", key.place, f"{relation.name} has no column `{key.name}`", fix=fix or _leave_or_add(key, relation),
        table=relation.name, column=key.name, ops=ops if fix else (),
    )  # fmt: skip


def _leave_or_add(key: Key, relation: Relation) -> str:
    """The column's type is told only where the value, or its type, can be seen."""
    value = telling(key)
    if value is None:
        return "leave it out, or add a column for it"
    kind = column_for(key.name, [{key.name: value}])["type"]
    table, name = f"{_quoted(relation.schema)}.{_quoted(relation.name)}", _quoted(key.name)
    return f"leave it out, or add the column: ALTER TABLE {table} ADD COLUMN {name} {kind}"


def _quoted(name: str) -> str:
    plain = name.isascii() and name.islower() and name.replace("_", "a").isalnum() and not name[0].isdigit()
    return name if plain else '"' + name.replace('"', '""') + '"'


def _values(call: DataCall, key: Key, relation: Relation, world: World) -> Iterator[Finding]:
    """Each value that may be sent under one key."""
    tried = [(value, True) for value in key.value.values]
    if key.value.kind in EXAMPLES:
        tried.append((EXAMPLES[key.value.kind], False))
    always = key.value.sure and len(tried) == 1 and not key.maybe
    for value, spelled in tried:
        finding = _value(call, key, value, spelled, relation, world)
        if finding is None:
            continue
        yield finding if always or not spelled or finding.level is Level.NOTE else _in_some_cases(finding, value)
        return


def _in_some_cases(finding: Finding, value: Json) -> Finding:
    rule, level = ("maybe-null", Level.NOTE) if value is None else (finding.rule, Level.WARNING)
    return found(
        rule, finding.place, finding.message, level=level, fix=finding.fix, table=finding.table, column=finding.column, ops=finding.ops
    )


def _value(call: DataCall, key: Key, value: Json, spelled: bool, relation: Relation, world: World) -> Finding | None:
    """What the gateway leaves over of it, else what it mends though Postgres refuses it, else what Postgres would change."""
    mended = _mended(call, {key.name: value}, relation, world)
    column = relation.column(next(iter(mended.statement.rows[0]), key.name))
    if column is None or column.generated:
        return _refused(key, Misfit(Kind.GENERATED, key.name), True, relation)
    refused = rejects(value, column, labels_of(column, relation, world.snapshot))
    misfit = next(iter(mended.misfits), None)
    fix = next((a.fix for a in mended.applied if not isinstance(a.fix, RenameColumn)), None)
    if misfit is None and fix is not None:
        needed = refused is not None and spelled
        return _told(_RULE[refused.kind], key, relation, _not_taken(key, refused, relation), fix) if refused and needed else None
    left = misfit or refused
    if left is not None:
        return _refused(key, left, spelled, relation) if _sayable(left, spelled, relation) else None
    return _changed(key, mended, relation) if spelled and mended.changes else None


def _changed(key: Key, mended: Mended, relation: Relation) -> Finding:
    change = mended.changes[0]
    message = f"{relation.name}.{key.name} would store {change.stored} for {change.sent}"
    return found("changed-value", key.place, message, table=relation.name, column=key.name)


def _sayable(misfit: Misfit, spelled: bool, relation: Relation) -> bool:
    """Of a value whose type alone is seen, only that is said. Before-triggers may fill what is null."""
    if misfit.kind is Kind.MISSING_VALUE:
        return spelled and not relation.has_before_triggers
    return misfit.kind in _RULE and (spelled or misfit.kind is Kind.INVALID_VALUE)


def _refused(key: Key, misfit: Misfit, spelled: bool, relation: Relation) -> Finding:
    return found(
        _RULE[misfit.kind],
        key.place,
        _not_taken(key, misfit, relation, spelled),
        table=relation.name,
        column=key.name,
        fix=_allowed(misfit),
    )


def _not_taken(key: Key, misfit: Misfit, relation: Relation, spelled: bool = True) -> str:
    where = f"{relation.name}.{key.name}"
    if misfit.kind is Kind.MISSING_VALUE:
        return f"{where} must not be null"
    if misfit.kind is Kind.GENERATED:
        return f"{where} is computed by the database"
    value = _short(misfit.value) if spelled else f"a value like {_short(misfit.value)}"
    return f"{where} ({_expected(misfit)}) does not take {value}"


def _expected(misfit: Misfit) -> str:
    return "one of " + listed(misfit.expected.split(" | ")) if misfit.kind is Kind.UNKNOWN_LABEL else misfit.expected


def listed(labels: list[str]) -> str:
    """Labels for a sentence: a long list is cut."""
    rest = len(labels) - _MOST_LABELS
    return " | ".join(labels) if rest <= 0 else f"{' | '.join(labels[:_MOST_LABELS])} and {rest} more"


def _allowed(misfit: Misfit) -> str:
    if misfit.kind is Kind.UNKNOWN_LABEL:
        return "use one that there is, or add it to the list"
    return "leave it out" if misfit.kind is Kind.GENERATED else ""


_WORDS: dict[Json, str] = {None: "null", True: "true", False: "false"}


def _short(value: Json) -> str:
    """A value for a sentence."""
    if isinstance(value, (list, dict)):
        return "[…]" if isinstance(value, list) else "{…}"
    if isinstance(value, str):
        return f"'{value}'" if len(value) <= 60 else f"'{value[:56]}…'"
    return _WORDS[value] if value is None or isinstance(value, bool) else str(value)


def _told(rule: str, key: Key, relation: Relation, message: str, fix: Fix) -> Finding:
    """A finding that the gateway mends by itself."""
    return found(rule, key.place, message, level=Level.WARNING, fix=_written(fix), table=relation.name, column=key.name, ops=dump((fix,)))


def _written(fix: Fix) -> str:
    """The fix as a change of the source."""
    match fix:
        case RenameColumn(target=target):
            return f"write `{target}`"
        case MapValue(target=target):
            return f"write {_short(target)}"
    return f"through the gateway: {say(fix)}"


def _missing(call: DataCall, payload: Payload, relation: Relation, world: World) -> Iterator[Finding]:
    """Columns that an insert must have and that no row of this shape gives. A before-trigger may fill them, so then nothing is said."""
    if call.operation not in ("insert", "upsert") or not payload.whole or relation.has_before_triggers or not payload.keys:
        return
    row: Row = {key.name: telling(key) for key in payload.keys}
    names = _mended(call, {key.name: None for key in payload.keys}, relation, world)
    statement = Statement(Operation(call.operation), relation.schema, relation.name, (row,))
    strange = tuple(m for m in names.misfits if m.kind is Kind.UNKNOWN_COLUMN)
    present = set(row) | set(names.statement.rows[0])
    for column in required(scene_of(statement, strange, relation, world.snapshot)):
        if column.name not in present:
            misfit = Misfit(Kind.MISSING_VALUE, column.name, None, column.type)
            yield _lacking(call, misfit, statement, strange, relation, world)


def _lacking(
    call: DataCall, misfit: Misfit, statement: Statement, strange: tuple[Misfit, ...], relation: Relation, world: World
) -> Finding:
    proposals = propose(statement, (*strange, misfit), relation, world.snapshot, claims=_CLAIMS, lineage=world.lineage)
    ops = tuple(op for p in proposals[:1] if p.probability >= LIKELY for op in p.fix if misfit.column in (op.get("to"), op.get("column")))
    return found(
        "missing-required", call.place, f"{relation.name}.{misfit.column} ({misfit.expected}) gets no value and has no default",
        fix=_supply(ops, misfit.column), table=relation.name, column=misfit.column, ops=ops,
    )  # fmt: skip


def _supply(ops: tuple[dict[str, Json], ...], column: str) -> str:
    op = ops[0] if ops else {}
    match op.get("op"):
        case "rename_column":
            return f"the key `{op['from']}` is probably meant"
        case "fill" if op.get("claim"):
            return f"take `{column}` from the caller's verified token (`{op['claim']}`)"
        case "fill" if op.get("from_key"):
            return f"copy `{op['from_key']}` into it"
    return f"send `{column}`, or give it a default"
