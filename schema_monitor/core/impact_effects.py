"""What a change beside names does to a request that feels it: one function a kind of change."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from schema_monitor.core.diff_access import grants
from schema_monitor.core.impact_names import missing
from schema_monitor.core.meaning import Use
from schema_monitor.core.snapshot import Column, Relation, Snapshot
from schema_monitor.core.touched import Thing
from schema_monitor.core.verdicts import Reason, Remedy, Verdict

BYPASSING = frozenset({"service_role"})
"""Roles that row security does not bind."""
_LETTERS = {"insert": "a", "upsert": "aw", "update": "w", "delete": "d", "select": "r"}
Effect = Callable[[Use, Thing, Relation], Iterator[Reason]]


def effects(use: Use, thing: Thing, after: Snapshot) -> Iterator[Reason]:
    """What is to be said of a shape that feels the change."""
    relation, effect = after.relations.get(thing.relation.oid), _EFFECTS.get(thing.change.kind)
    if relation is not None and effect is not None:
        yield from effect(use, thing, relation)


def _columns(thing: Thing, relation: Relation) -> Iterator[Column]:
    for attnum in sorted(thing.attnums):
        if (column := relation.by_attnum(attnum)) is not None:
            yield column


def _retyped(use: Use, thing: Thing, relation: Relation) -> Iterator[Reason]:
    for column in _columns(thing, relation):
        if use.writes and column.attnum in use.set:
            sentence = f"{column.name} is {column.type} now: values that are read as that without loss are coerced, others refused."
            yield Reason(Verdict.DEPENDS, sentence, column.name, *_type_error(column))
        else:
            yield Reason(Verdict.DEPENDS, f"{column.name} is {column.type} now, in answers and filters.", column.name)


def _type_error(column: Column) -> tuple[str, str]:
    if column.length is not None and column.base in ("varchar", "bpchar"):
        return ("22001", f"value too long for type {column.type}")
    if column.base == "numeric" and column.precision is not None:
        return ("22003", "numeric field overflow")
    return ("22P02", f"invalid input syntax for type {column.type}")


def _needed(use: Use, thing: Thing, relation: Relation) -> Iterator[Reason]:
    """NOT NULL came: what is left out is missing, what is sent may be null."""
    for column in _columns(thing, relation):
        if use.inserts and column.attnum not in use.set and not thing.filled:
            yield missing(column, relation)
        if column.attnum in use.set:
            told = missing(column, relation)
            sentence = f"{column.name} is refused where it is sent as null."
            yield Reason(Verdict.DEPENDS, sentence, column.name, told.code, told.message, told.signature, told.remedies)


def _required(use: Use, thing: Thing, relation: Relation) -> Iterator[Reason]:
    column = relation.column(thing.change.object)
    if column is not None and use.inserts and column.attnum not in use.set and column.name not in use.shape.keys:
        yield missing(column, relation)


def _otherwise_filled(use: Use, thing: Thing, relation: Relation) -> Iterator[Reason]:
    for column in _columns(thing, relation):
        if column.nullable or column.default is not None:
            value = f"the default {column.default}" if column.default is not None else "NULL"
            yield Reason(Verdict.FITS, f"Rows that leave out {column.name} get {value}.", column.name)


def _generated(use: Use, thing: Thing, relation: Relation) -> Iterator[Reason]:
    for column in _columns(thing, relation):
        if column.attnum not in use.set:
            continue
        message = f'cannot insert a non-DEFAULT value into column "{column.name}"'
        if column.generated:
            sentence = f"{column.name} is computed now: it lands where what was sent is what comes out."
            yield Reason(Verdict.DEPENDS, sentence, column.name, "428C9", message, f"generated:{column.name}")
        elif column.identity == "a":
            drop = Remedy(f"leave {column.name} out", ({"op": "drop_key", "column": column.name},))
            sentence = f"{column.name} is always given by the database now."
            yield Reason(Verdict.NEEDS_RULE, sentence, column.name, "428C9", message, f"generated:{column.name}", (drop,))


def _conflict_target(use: Use, thing: Thing, relation: Relation) -> Iterator[Reason]:
    """An upsert needs a unique key over columns that it sends."""
    if use.shape.operation != "upsert":
        if thing.change.kind == "primary_key_changed":
            yield Reason(Verdict.DEPENDS, "The primary key is another one: values may repeat in it.", code="23505")
        return
    keys = [index.columns for index in relation.unique_indexes if not index.partial]
    if any(set(columns) <= use.set | use.named for columns in keys):
        yield Reason(
            Verdict.DEPENDS, "Lands if its conflict target is not the key that is gone.", code="42P10", signature="conflict_target:"
        )
        return
    message = "there is no unique or exclusion constraint matching the ON CONFLICT specification"
    yield Reason(Verdict.BREAKS, "No unique key is left over what it sends.", "", "42P10", message, "conflict_target:")


def _by_value(code: str, what: str) -> Effect:
    def effect(use: Use, thing: Thing, relation: Relation) -> Iterator[Reason]:
        definition = f" ({thing.change.new})" if isinstance(thing.change.new, str) else ""
        message = f'violates {what} constraint "{thing.change.object}"'
        yield Reason(Verdict.DEPENDS, f"Lands where its values satisfy {thing.change.object}{definition}.", "", code, message)

    return effect


def _row_security(use: Use, thing: Thing, relation: Relation) -> Iterator[Reason]:
    if use.shape.role in BYPASSING and not relation.force_row_security:
        return
    if use.shape.role in BYPASSING:
        yield Reason(Verdict.FITS, "Row security does not bind this role.")
    elif relation.row_security and not relation.policies and use.shape.operation in ("insert", "upsert"):
        message = f'new row violates row-level security policy for table "{relation.name}"'
        yield Reason(Verdict.BREAKS, "Row security is on and there is no policy: nobody may add rows.", "", "42501", message)
    elif relation.row_security and not relation.policies:
        yield Reason(Verdict.BREAKS, "Row security is on and there is no policy: it finds no rows.")
    elif relation.row_security:
        yield Reason(Verdict.DEPENDS, "Which rows it may touch is for the policies to say.", "", "42501")
    else:
        yield Reason(Verdict.FITS, "No policy limits which rows it touches any more.")


def _revoked(use: Use, thing: Thing, relation: Relation) -> Iterator[Reason]:
    letters, given = _LETTERS.get(use.shape.operation, ""), grants(relation.acl)
    lost = [letter for letter in letters if letter in str(thing.change.new)]
    holders = {"", use.shape.role}
    left = {letter for column, who, letter in given if who in holders and not column}
    partly = {letter for column, who, letter in given if who in holders and column}
    gone = [letter for letter in lost if letter not in left]
    if not gone:
        return
    message = f"permission denied for table {relation.name}"
    if all(letter in partly for letter in gone):
        yield Reason(Verdict.DEPENDS, "The right is left for some columns only.", "", "42501", message)
    else:
        yield Reason(Verdict.BREAKS, f"{use.shape.role} has no right to {use.shape.operation} any more.", "", "42501", message)


def _read_only(use: Use, thing: Thing, relation: Relation) -> Iterator[Reason]:
    may = {"insert": relation.insertable, "update": relation.updatable, "delete": relation.deletable}
    may["upsert"] = relation.insertable and relation.updatable
    if not may.get(use.shape.operation, True):
        message = f'cannot {use.shape.operation} into view "{relation.name}"'
        yield Reason(Verdict.BREAKS, f"{relation.name} takes no {use.shape.operation} any more.", "", "55000", message)


def _trigger(use: Use, thing: Thing, relation: Relation) -> Iterator[Reason]:
    yield Reason(Verdict.DEPENDS, f"Trigger {thing.change.object} may change or refuse what is written.", code="P0001")


def _embedding(use: Use, thing: Thing, relation: Relation) -> Iterator[Reason]:
    yield Reason(Verdict.DEPENDS, f"Embedding through {thing.change.object} is not possible any more.", code="PGRST200")


def _label_renamed(use: Use, thing: Thing, relation: Relation) -> Iterator[Reason]:
    old, new = thing.change.old, thing.change.new
    if use.writes:
        yield Reason(Verdict.HEALS, f"Label '{old}' is '{new}' now; the old one is followed.")
    else:
        yield Reason(Verdict.DEPENDS, f"Answers say '{new}' instead of '{old}'; filters follow the old label.")


def _label_removed(use: Use, thing: Thing, relation: Relation) -> Iterator[Reason]:
    label = thing.change.object
    for column in _columns(thing, relation):
        enum = str(thing.change.relation)
        remedy = Remedy(f"write another label where {column.name} is '{label}': a person must say which")
        message = f'invalid input value for enum {enum}: "{label}"'
        yield Reason(Verdict.DEPENDS, f"'{label}' is refused in {column.name}.", column.name, "22P02", message, "", (remedy,))


def _note(sentence: str) -> Effect:
    def effect(use: Use, thing: Thing, relation: Relation) -> Iterator[Reason]:
        yield Reason(Verdict.FITS, sentence.format(relation=relation.name, object=thing.change.object))

    return effect


_EFFECTS: dict[str, Effect] = {
    "table_replaced": _note("{relation} is another table of the same name."),
    "type_changed": _retyped,
    "type_widened": _note("{object} takes more than before."),
    "required_column_added": _required,
    "required_default_removed": _required,
    "not_null_set": _needed,
    "not_null_dropped": _note("{object} may be null in answers."),
    "default_added": _otherwise_filled,
    "default_changed": _otherwise_filled,
    "default_removed": _otherwise_filled,
    "generation_changed": _generated,
    "primary_key_changed": _conflict_target,
    "unique_removed": _conflict_target,
    "unique_added": _by_value("23505", "unique"),
    "foreign_key_added": _by_value("23503", "foreign key"),
    "foreign_key_changed": _by_value("23503", "foreign key"),
    "foreign_key_removed": _embedding,
    "check_added": _by_value("23514", "check"),
    "check_changed": _by_value("23514", "check"),
    "exclusion_added": _by_value("23P01", "exclusion"),
    "exclusion_changed": _by_value("23P01", "exclusion"),
    "row_security_off": _row_security,
    "row_security_on": _row_security,
    "row_security_on_without_policy": _row_security,
    "row_security_forced": _row_security,
    "policy_added": _row_security,
    "policy_opened": _row_security,
    "policy_restricted": _row_security,
    "policy_changed": _row_security,
    "policy_removed": _row_security,
    "grant_removed": _revoked,
    "trigger_added": _trigger,
    "trigger_changed": _trigger,
    "writes_lost": _read_only,
    "label_renamed": _label_renamed,
    "label_removed": _label_removed,
}
"""What is not here either is told by the names (what was removed or renamed) or changes nothing for callers."""
