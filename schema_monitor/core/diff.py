"""What changed between two snapshots, as facts with a severity and a sentence.

Things are matched by identity (oid, attnum) within one scope, and by name across scopes; then every change is ``inferred``. Only
what is served is compared: tables of other schemas are in a snapshot as references only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec.structs import replace

from schema_monitor.core.changes import Change, change
from schema_monitor.core.diff_access import access_changes
from schema_monitor.core.diff_columns import column_changes
from schema_monitor.core.diff_constraints import constraint_changes
from schema_monitor.core.severity import INFERRED_RENAME, LEVELS
from schema_monitor.core.snapshot import Column, EnumType, Function, Relation, Snapshot

__all__ = ["Change", "diff", "summary"]

_KINDS = {"r": "Table", "p": "Table", "v": "View", "m": "Materialized view", "f": "Foreign table"}


def diff(old: Snapshot, new: Snapshot) -> tuple[Change, ...]:
    """All changes, the worst first; none for equal fingerprints."""
    if old.fingerprint and old.fingerprint == new.fingerprint:
        return ()
    found = [*_relations(old, new), *_enums(old, new), *_functions(old, new)]
    if old.scope != new.scope:
        found = [_inferred(each) for each in found]
        sentence = "The target is another database now (restored, branched or switched): things were matched by name."
        systems = {"old": old.scope.system_identifier, "new": new.scope.system_identifier}
        found.append(change("scope_changed", ("", ""), sentence, **systems))
    found += _monitor(old.monitor, new.monitor)
    return tuple(sorted(found, key=lambda each: -LEVELS.index(each.severity)))


def summary(changes: tuple[Change, ...]) -> str:
    """The worst change as a sentence, and how many others there are."""
    if not changes:
        return ""
    rest = len(changes) - 1
    return changes[0].sentence + (f" And {rest} more change{'s' if rest > 1 else ''}." if rest else "")


def _monitor(old: str, new: str) -> Iterator[Change]:
    """Our own event triggers: without them nobody knows who changes what."""
    if new == old:
        return
    if new == "on":
        yield change("monitor_on", ("mendgate", "ddl_log"), "The DDL log's event triggers are on.", old=old, new=new)
    elif new == "disabled":
        yield change("monitor_disabled", ("mendgate", "ddl_log"), "The DDL log's event triggers were disabled.", old=old, new=new)
    elif old in ("on", "disabled"):
        yield change("monitor_removed", ("mendgate", "ddl_log"), "The DDL log's event triggers were removed.", old=old, new=new)


def _inferred(found: Change) -> Change:
    if found.kind.endswith("_renamed") and found.breaks_old_writers:
        return replace(found, inferred=True, severity=INFERRED_RENAME.severity)
    return replace(found, inferred=True)


def _relations(old: Snapshot, new: Snapshot) -> Iterator[Change]:
    before = {oid: r for oid, r in old.relations.items() if old.serves(r)}
    after = {oid: r for oid, r in new.relations.items() if new.serves(r)}
    pairs = _pairs(before, after, by_name=old.scope != new.scope)
    paired_old, paired_new = {a for a, _ in pairs}, {b for _, b in pairs}
    removed = {_name(r): r for oid, r in before.items() if oid not in paired_old}
    for oid, relation in after.items():
        if oid in paired_new:
            continue
        if (former := removed.pop(_name(relation), None)) is not None:
            yield _replaced(former, relation)
            yield from _inside(former, relation, by_name=True)
        else:
            yield change("table_added", _name(relation), f"{_title(relation)} was added.")
    for gone in removed.values():
        yield change("table_removed", _name(gone), f"{_title(gone)} was removed.")
    for left, right in pairs:
        if left != right or before[left].fingerprint != after[right].fingerprint or not after[right].fingerprint:
            yield from _inside(before[left], after[right], by_name=old.scope != new.scope)


def _inside(old: Relation, new: Relation, by_name: bool) -> Iterator[Change]:
    """The changes within one relation, its name included."""
    if _name(old) != _name(new):
        sentence = f"{_title(old)} was renamed to {new.schema}.{new.name}."
        yield change("table_renamed", _name(new), sentence, old=".".join(_name(old)), new=".".join(_name(new)))
    if by_name:
        old = _renumbered(old, new)
    yield from column_changes(old, new)
    yield from constraint_changes(old, new, by_name=by_name)
    yield from access_changes(old, new)


def _replaced(old: Relation, new: Relation) -> Change:
    sentence = f"{_title(old)} was replaced by another {_KINDS[new.kind].lower()} of the same name."
    return change("table_replaced", _name(new), sentence, old=old.kind, new=new.kind)


def _renumbered(old: Relation, new: Relation) -> Relation:
    """``old`` with the attnums that columns of the same name have in ``new``; what has no namesake gets numbers of its own."""
    numbers = {c.attnum: there.attnum if (there := new.column(c.name)) else -c.attnum for c in old.columns}

    def moved(attnums: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(numbers.get(n, n) for n in attnums)

    return replace(
        old,
        columns=tuple(replace(c, attnum=numbers[c.attnum], enum=_namesake(c, new)) for c in old.columns),
        constraints=tuple(replace(k, columns=moved(k.columns)) for k in old.constraints),
        unique_indexes=tuple(replace(i, columns=moved(i.columns)) for i in old.unique_indexes),
    )


def _namesake(column: Column, new: Relation) -> int | None:
    """The enum of the column of that name, where it is called the same; oids of another database say nothing."""
    there = new.column(column.name)
    return there.enum if there is not None and there.base == column.base and column.enum is not None else column.enum


def _enums(old: Snapshot, new: Snapshot) -> Iterator[Change]:
    pairs = _pairs(old.enums, new.enums, by_name=old.scope != new.scope)
    pairs += [
        (a, b)
        for a, left in old.enums.items()
        for b, right in new.enums.items()
        if _name(left) == _name(right) and a not in {x for x, _ in pairs} and b not in {y for _, y in pairs}
    ]
    for oid, enum in old.enums.items():
        if oid not in {a for a, _ in pairs}:
            yield change("enum_removed", _name(enum), f"Enum {enum.schema}.{enum.name} was removed.")
    for oid, enum in new.enums.items():
        if oid not in {b for _, b in pairs}:
            yield change("enum_added", _name(enum), f"Enum {enum.schema}.{enum.name} was added.")
    for a, b in pairs:
        if old.enums[a] != new.enums[b]:
            yield from _labels(old.enums[a], new.enums[b])


def _labels(old: EnumType, new: EnumType) -> Iterator[Change]:
    where, title = _name(new), f"enum {new.schema}.{new.name}"
    if _name(old) != where:
        sentence = f"Enum {old.schema}.{old.name} was renamed to {new.schema}.{new.name}."
        yield change("enum_renamed", where, sentence, old=old.name, new=new.name)
    by_name = old.oid != new.oid
    before = {label.name if by_name else label.oid: label.name for label in old.labels}
    after = {label.name if by_name else label.oid: label.name for label in new.labels}
    for key, name in before.items():
        if key not in after:
            yield change("label_removed", where, f"Label '{name}' was removed from {title}.", object=name, old=name)
        elif after[key] != name:
            sentence = f"Label '{name}' of {title} was renamed to '{after[key]}'."
            yield change("label_renamed", where, sentence, object=after[key], old=name, new=after[key])
    for key, name in after.items():
        if key not in before:
            yield change("label_added", where, f"Label '{name}' was added to {title}.", object=name, new=name)


def _functions(old: Snapshot, new: Snapshot) -> Iterator[Change]:
    before, after = ({_signature(f): f for f in side.functions.values()} for side in (old, new))
    gone = {f.oid: f for key, f in before.items() if key not in after}
    for key, function in after.items():
        where, title = (function.schema, function.name), f"{function.schema}.{_call(function)}"
        if key in before:
            if _shape(before[key]) != _shape(function):
                sentence = f"Function {title} changed what it takes or returns."
                yield change("function_changed", where, sentence, object=_call(function), old=before[key].returns, new=function.returns)
        elif old.scope == new.scope and (former := gone.pop(function.oid, None)) is not None:
            kind = "function_changed" if former.name == function.name else "function_renamed"
            sentence = f"Function {former.schema}.{_call(former)} is {title} now."
            yield change(kind, where, sentence, object=_call(function), old=_call(former), new=_call(function))
        else:
            yield change("function_added", where, f"Function {title} was added.", object=_call(function))
    for function in gone.values():
        title = f"{function.schema}.{_call(function)}"
        yield change("function_removed", (function.schema, function.name), f"Function {title} was removed.", object=_call(function))


def _signature(function: Function) -> tuple[str, str, tuple[str, ...]]:
    return (function.schema, function.name, tuple(a.type for a in function.arguments if a.mode in "ibv"))


def _shape(function: Function) -> Function:
    return replace(function, oid=0, returns_relation=None)


def _call(function: Function) -> str:
    taken = (f"{a.name} {a.type}".strip() for a in function.arguments if a.mode in "ibv")
    return f"{function.name}({', '.join(taken)})"


def _pairs(old: Mapping[int, Relation | EnumType], new: Mapping[int, Relation | EnumType], by_name: bool) -> list[tuple[int, int]]:
    if not by_name:
        return [(oid, oid) for oid in old if oid in new]
    there = {_name(thing): oid for oid, thing in new.items()}
    return [(oid, there[_name(thing)]) for oid, thing in old.items() if _name(thing) in there]


def _name(thing: Relation | EnumType) -> tuple[str, str]:
    return (thing.schema, thing.name)


def _title(relation: Relation) -> str:
    return f"{_KINDS.get(relation.kind, 'Relation')} {relation.schema}.{relation.name}"
