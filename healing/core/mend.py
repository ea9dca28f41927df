"""What can be put right in a payload before it is sent, row by row: exact names, lossless values, approved rules.

    keys    -> lineage           (exact)
    values  -> labels, coercion  (exact)
    rest    -> rules             (approved)
    losses  -> changes           (what Postgres itself would change)

Nothing is guessed here: what none of these settles is left as a misfit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from healing.core import coerce, fixes, guard
from healing.core.rulebook import Rulebook, rulebook
from healing.core.types import Change, Healing, Json, Kind, Misfit, Operation, Row, Rule, Statement
from healing.core.vet import Vet, enum_labels, labels_of
from schema_monitor.core.lineage import Lineage, Live, Renamed, Retired, Reused
from schema_monitor.core.snapshot import Column, Relation, Snapshot

_RULE_LEVELS = frozenset({Healing.APPROVED, Healing.CERTIFIED, Healing.ASSISTED})


class Context(Struct, frozen=True):
    """What the core may know about the world for one statement. ``rules`` are the active ones for this relation and
    operation; ``relation`` is None for an unknown table."""

    relation: Relation | None
    snapshot: Snapshot
    lineage: Lineage
    vet: Vet | None
    level: Healing
    rules: tuple[Rule, ...] = ()
    strict: bool = False
    claims: Mapping[str, Json] = {}
    moved: bool = False
    """the relation was found under another name than the one that was sent: what is stored is read back."""
    book: Rulebook | None = None
    """of ``rules``, where it is at hand."""

    def rulebook(self) -> Rulebook:
        """The rules by what they answer."""
        return self.book if self.book is not None and self.book.rules is self.rules else rulebook(self.rules)


class Applied(Struct, frozen=True):
    """A fix that was applied: who found it, by which rule, to which rows."""

    fix: fixes.Fix
    source: str
    rule: str | None = None
    rows: tuple[int, ...] = ()

    @property
    def found_by(self) -> str:
        """As the metrics count it: see ``found_by``."""
        return found_by(self.source, self.rule)


ASSISTED = "assist:"
"""How ids begin of what looks like a rule and is a run of the AI tier."""
CERTIFIED = "certified:"
"""The same of a proposal of the matcher that its evidence certified."""


def found_by(source: str, rule: str | None) -> str:
    """Who a heal is counted for. What the matcher or an AI once proposed and a person made a rule is an approved rule, and needs neither:

    >>> found_by("ai", "assist:1"), found_by("ai", "7f6d"), found_by("lineage", None)
    ('ai', 'learned', 'lineage')
    """
    return "learned" if rule is not None and not rule.startswith((ASSISTED, CERTIFIED)) and source in ("ai", "matcher") else source


class Mended(Struct, frozen=True):
    """A statement as far as it could be put right. ``misfits`` are left over; ``changes`` is what Postgres would change."""

    statement: Statement
    applied: tuple[Applied, ...] = ()
    misfits: tuple[Misfit, ...] = ()
    changes: tuple[Change, ...] = ()
    computed: tuple[Row, ...] = ()
    """a row each: what generated columns must turn out to be, where the caller sent them."""

    @property
    def expected(self) -> tuple[Row, ...]:
        """The rows as they must read back."""
        if not self.computed:
            return self.statement.rows
        return tuple({**row, **computed} for row, computed in zip(self.statement.rows, self.computed, strict=True))


class _Note(Struct):
    """What happened to one row."""

    row: Row
    fixes: list[tuple[fixes.Fix, str, str | None]]
    misfits: list[Misfit]
    computed: Row


def mend(statement: Statement, context: Context, known: tuple[Misfit, ...] = ()) -> Mended:
    """Puts right what is exact or approved. ``known`` are misfits that the database already reported for this statement
    (rules may answer them); those stay in ``misfits`` unless a rule settled them."""
    relation, vet = context.relation, context.vet
    if relation is None or vet is None:
        return Mended(statement, misfits=(_unknown_table(statement, context),))
    context = replace(context, book=context.rulebook()) if context.rules else context
    names = {key: _name(key, statement, relation, context.lineage) for key in _keys(statement)}
    notes = [_mend_row(i, row, names, statement, context, known) for i, row in enumerate(statement.rows)]
    mended = replace(statement, rows=tuple(note.row for note in notes), columns=_columns(statement, notes))
    changes = _losses(mended, vet, statement)
    computed = tuple(note.computed for note in notes) if any(note.computed for note in notes) else ()
    return Mended(mended, _gather_fixes(notes), _gather_misfits(notes), changes, computed)


def untouched(statement: Statement, context: Context) -> Mended:
    """The statement as it is, and what Postgres would change of it: healing may be off, silence about a loss is not."""
    if context.vet is None:
        return Mended(statement)
    listed = statement.columns
    rows = statement.rows if listed is None else tuple({k: v for k, v in row.items() if k in listed} for row in statement.rows)
    return Mended(statement, changes=_losses(replace(statement, rows=rows), context.vet, statement))


def may_use_rules(level: Healing) -> bool:
    """Whether approved rules apply at this level."""
    return level in _RULE_LEVELS


def _keys(statement: Statement) -> Iterable[str]:
    seen: dict[str, None] = dict.fromkeys(statement.columns or ())
    for row in statement.rows:
        seen.update(dict.fromkeys(row))
    return seen


def _name(key: str, statement: Statement, relation: Relation, lineage: Lineage) -> Column | fixes.Fix | Misfit:
    """What a payload key means: the live column, an exact rename, or a misfit."""
    match lineage.resolve_column(relation, key):
        case Live(column):
            return column
        case Renamed(column):
            return fixes.RenameColumn(key, column.name)
        case Reused(live, former):
            if _knows_the_new_names(statement, former, relation, lineage):
                return live
            expected = ", ".join([live.name, *(column.name for column in former)])
            return Misfit(Kind.REUSED_NAME, key, None, expected)
        case Retired(column):
            return Misfit(Kind.UNKNOWN_COLUMN, key, None, column.name)
        case _:
            return Misfit(Kind.UNKNOWN_COLUMN, key)


def _unknown_table(statement: Statement, context: Context) -> Misfit:
    match context.lineage.resolve_relation(context.snapshot, statement.schema, statement.table):
        case Retired(relation):
            return Misfit(Kind.UNKNOWN_TABLE, statement.table, None, relation.name)
    return Misfit(Kind.UNKNOWN_TABLE, statement.table)


def _knows_the_new_names(statement: Statement, former: tuple[Column, ...], relation: Relation, lineage: Lineage) -> bool:
    """A payload that also uses the new name of the column that moved away was written for today's schema."""
    used = set(_keys(statement))
    return all(column.name in used and isinstance(lineage.resolve_column(relation, column.name), Live) for column in former)


def _columns(statement: Statement, notes: list[_Note]) -> tuple[str, ...] | None:
    """The ``columns=`` list after what was done to the keys of the rows (renamed, dropped, filled)."""
    if statement.columns is None:
        return None
    columns = dict.fromkeys(statement.columns)
    for note in notes:
        for fix, _source, _rule in note.fixes:
            columns = _listed(columns, fix)
    return tuple(columns)


def _listed(columns: dict[str, None], fix: fixes.Fix) -> dict[str, None]:
    match fix:
        case fixes.RenameColumn(source, target):
            return dict.fromkeys(target if key == source else key for key in columns)
        case fixes.DropKey(column) | fixes.UseDefault(column):
            return {key: None for key in columns if key != column}
        case fixes.Rescue(column, into):
            return {**{key: None for key in columns if key != column}, into: None}
        case fixes.Fill(column):
            return {**columns, column: None}
    return columns


def _mend_row(
    index: int,
    row: Row,
    names: Mapping[str, Column | fixes.Fix | Misfit],
    statement: Statement,
    context: Context,
    known: tuple[Misfit, ...],
) -> _Note:
    note = _Note(row, [], [], {})
    if statement.columns is not None and len(row) > 0:
        row = {key: value for key, value in row.items() if key in statement.columns}
        note.row = row
    _mend_keys(note, names)
    _mend_values(note, context, statement)
    note.misfits += [m for m in known if (not m.rows or index in m.rows) and m.signature not in _signatures(note)]
    if may_use_rules(context.level) and context.rules:
        _mend_missing(note, context, statement)
        _apply_rules(note, context, statement.operation)
    note.misfits = [replace(m, rows=(index,)) for m in note.misfits]
    return note


def _signatures(note: _Note) -> set[str]:
    return {misfit.signature for misfit in note.misfits}


def _mend_keys(note: _Note, names: Mapping[str, Column | fixes.Fix | Misfit]) -> None:
    renames: list[fixes.Fix] = []
    taken = set(note.row)
    for key, value in note.row.items():
        meaning = names[key]
        if isinstance(meaning, Misfit):
            note.misfits.append(replace(meaning, value=value))
        elif isinstance(meaning, fixes.RenameColumn):
            if meaning.target in taken:
                note.misfits.append(Misfit(Kind.UNKNOWN_COLUMN, key, value))
            else:
                renames.append(meaning)
                taken.add(meaning.target)
    if renames:
        note.row = fixes.apply(tuple(renames), note.row, {})
        note.fixes += [(fix, "lineage", None) for fix in renames]


def _mend_values(note: _Note, context: Context, statement: Statement) -> None:
    """Exact label renames and lossless coercions; what Postgres would surely reject is noted as a misfit."""
    relation, vet = context.relation, context.vet
    assert relation is not None and vet is not None
    for key, value in list(note.row.items()):
        column = relation.column(key)
        if column is None:
            continue
        if column.generated:
            _mend_generated(note, key, value)
            continue
        types, check = vet.accepts.get(key, (frozenset(), None))
        plain = type(value) in types and (check is None or check(value) is None)
        if not plain or (type(value) is str and "\0" in value):
            _mend_value(note, key, value, column, context)


def _mend_generated(note: _Note, key: str, value: Json) -> None:
    """A generated column may be left out only if it turns out as it was sent; the read-back decides."""
    note.row = {k: v for k, v in note.row.items() if k != key}
    note.computed[key] = value
    note.fixes.append((fixes.DropKey(key), "builtin", None))


def _mend_value(note: _Note, key: str, value: Json, column: Column, context: Context) -> None:
    relation = context.relation
    assert relation is not None
    found = _label(value, column, context)
    if found is None:
        better = coerce.coerce(value, column, enum_labels(column, context.snapshot))
        if better is None:
            misfit = coerce.rejects(value, column, labels_of(column, relation, context.snapshot))
            if misfit is not None:
                note.misfits.append(misfit)
            return
        note.row = {**note.row, key: better.value}
        note.fixes.append((better.fix, "builtin", None))
        return
    note.row = {**note.row, key: found.target}
    note.fixes.append((found, "lineage", None))


def _label(value: Json, column: Column, context: Context) -> fixes.MapValue | None:
    """The live name of an enum label that was renamed."""
    enum = context.snapshot.enums.get(column.enum or 0)
    if enum is None or column.array or not isinstance(value, str):
        return None
    match context.lineage.resolve_label(enum, value):
        case Renamed(label):
            return fixes.MapValue(column.name, value, label.name)
        case _:
            return None


def _mend_missing(note: _Note, context: Context, statement: Statement) -> None:
    """A value that a rule knows how to supply counts as missing before the database says so."""
    relation = context.relation
    assert relation is not None
    if statement.operation not in (Operation.INSERT, Operation.UPSERT):
        return
    for name, signature in context.rulebook().supplied.items():
        column = relation.column(name)
        if column is not None and note.row.get(name) is None and signature not in _signatures(note):
            note.misfits.append(Misfit(Kind.MISSING_VALUE, name, None, column.type))


def _apply_rules(note: _Note, context: Context, operation: Operation) -> None:
    """Applies every rule whose misfits are all there and whose preconditions hold; the one that settles most comes first."""
    relation = context.relation
    assert relation is not None
    for rule, wanted in context.rulebook().answering(_signatures(note)):
        if not wanted <= _signatures(note):
            continue
        program = fixes.program(rule.fix)
        if fixes.blocked(program, note.row, relation, operation) is not None:
            continue
        try:
            note.row = fixes.apply(program, note.row, context.claims)
        except fixes.FixError:
            continue  # the caller lacks the claim that the rule fills from
        note.fixes += [(fix, rule.source, rule.id) for fix in program]
        note.misfits = [m for m in note.misfits if m.signature not in wanted]


def _losses(mended: Statement, vet: Vet, sent: Statement) -> tuple[Change, ...]:
    changes: dict[Change, None] = {}
    for before, row in zip(sent.rows, mended.rows, strict=True):
        changes.update(dict.fromkeys(guard.losses(row, vet.losses)))
        if sent.columns is not None:
            left_out = (Change(k, str(v), "", "left out of columns") for k, v in before.items() if k not in sent.columns)
            changes.update(dict.fromkeys(left_out))
    return tuple(changes)


def _gather_fixes(notes: list[_Note]) -> tuple[Applied, ...]:
    rows: dict[tuple[fixes.Fix, str, str | None], list[int]] = {}
    for index, note in enumerate(notes):
        for entry in note.fixes:
            rows.setdefault(entry, []).append(index)
    return tuple(Applied(fix, source, rule, tuple(where)) for (fix, source, rule), where in rows.items())


def _gather_misfits(notes: list[_Note]) -> tuple[Misfit, ...]:
    first: dict[str, Misfit] = {}
    for note in notes:
        for misfit in note.misfits:
            seen = first.get(misfit.signature)
            first[misfit.signature] = misfit if seen is None else replace(seen, rows=seen.rows + misfit.rows)
    return tuple(first.values())
