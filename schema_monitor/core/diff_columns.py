"""What changed in the columns of one relation, matched by attnum."""

from __future__ import annotations

from collections.abc import Iterator

from schema_monitor.core.changes import Change, change
from schema_monitor.core.snapshot import Column, Relation
from schema_monitor.core.widening import widens


def column_changes(old: Relation, new: Relation) -> Iterator[Change]:
    """Added, removed, renamed and altered columns."""
    where = (new.schema, new.name)
    for column in old.columns:
        if new.by_attnum(column.attnum) is None:
            sentence = f"Column {column.name} was removed from {new.schema}.{new.name}."
            yield change("column_removed", where, sentence, object=column.name, old=column.type)
    for column in new.columns:
        before = old.by_attnum(column.attnum)
        if before is None:
            yield _added(where, column)
        elif before != column:
            yield from _altered(where, before, column)


def _added(where: tuple[str, str], column: Column) -> Change:
    required = not column.nullable and not _filled(column)
    kind, how = ("required_column_added", " (required: NOT NULL without a default)") if required else ("column_added", "")
    sentence = f"Column {column.name} {column.type} was added to {'.'.join(where)}{how}."
    return change(kind, where, sentence, object=column.name, new=column.type)


def _altered(where: tuple[str, str], old: Column, new: Column) -> Iterator[Change]:
    title = f"{'.'.join(where)}.{new.name}"
    if old.name != new.name:
        sentence = f"Column {'.'.join(where)}.{old.name} was renamed to {new.name}."
        yield change("column_renamed", where, sentence, object=new.name, old=old.name, new=new.name)
    if _kind_of_value(old) != _kind_of_value(new):
        kind, how = ("type_widened", "widened") if widens(old, new) else ("type_changed", "changed")
        sentence = f"The type of {title} was {how} from {old.type} to {new.type}."
        yield change(kind, where, sentence, object=new.name, old=old.type, new=new.type)
    if old.nullable != new.nullable:
        kind, how = ("not_null_dropped", "may be NULL now") if new.nullable else ("not_null_set", "must not be NULL any more")
        yield change(kind, where, f"Column {title} {how}.", object=new.name, old=old.nullable, new=new.nullable)
    if (old.generated, old.identity) != (new.generated, new.identity):
        sentence = f"Column {title} is generated differently."
        yield change("generation_changed", where, sentence, object=new.name, old=_made(old), new=_made(new))
    elif old.default != new.default:
        yield _default(where, title, old, new)
    if old.comment != new.comment:
        yield change("comment_changed", where, f"The comment on {title} changed.", object=new.name, old=old.comment, new=new.comment)


def _kind_of_value(column: Column) -> tuple[object, ...]:
    """What decides which values fit. The name of an enum or domain does not; a domain's checks are compared as constraints."""
    return (column.enum or column.base, column.array, column.length, column.precision, column.scale)


def _default(where: tuple[str, str], title: str, old: Column, new: Column) -> Change:
    kind = "default_changed"
    if old.default is None:
        kind = "default_added"
    elif new.default is None:
        kind = "default_removed" if new.nullable else "required_default_removed"
    verb = {"default_added": "has a default now", "default_changed": "has another default"}.get(kind, "lost its default")
    return change(kind, where, f"Column {title} {verb}.", object=new.name, old=old.default, new=new.default)


def _filled(column: Column) -> bool:
    return column.default is not None or bool(column.identity) or bool(column.generated)


def _made(column: Column) -> str:
    if column.identity:
        return "identity always" if column.identity == "a" else "identity by default"
    return {"s": "stored", "v": "virtual"}.get(column.generated, "")
