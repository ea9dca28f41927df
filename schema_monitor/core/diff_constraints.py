"""What changed in the constraints and indexes of one relation.

Postgres never alters a constraint's condition in place, so the same oid is the same constraint (its text changes when a column is
renamed). One that was dropped and made again under its name is compared by its text.
"""

from __future__ import annotations

from collections.abc import Iterator

from schema_monitor.core.changes import Change, change
from schema_monitor.core.snapshot import Constraint, Index, Relation

_WORDS = {"u": "unique", "f": "foreign_key", "c": "check", "x": "exclusion"}


def constraint_changes(old: Relation, new: Relation, by_name: bool) -> Iterator[Change]:
    """Primary key, unique, foreign key, check and exclusion constraints; unique indexes that are none of these."""
    yield from _primary_key(old, new)
    before, after = _constraints(old), _constraints(new)
    namesakes = {(k.name, k.kind, k.columns): k for k in before.values()}
    same = set() if by_name else before.keys() & after.keys()
    for key, constraint in after.items():
        if key in same:
            yield from _renamed(new, before[key], constraint)
            continue
        former = namesakes.pop((constraint.name, constraint.kind, constraint.columns), None)
        if former is None or _key(former) in same:
            yield _made(new, constraint, "added")
        elif former.definition != constraint.definition:
            yield _remade(new, former, constraint)
    remade = {(k.name, k.kind, k.columns) for k in after.values()}
    for key, constraint in before.items():
        if key not in same and (constraint.name, constraint.kind, constraint.columns) not in remade:
            yield _made(new, constraint, "removed")
    yield from _indexes(old, new)
    yield from _other_indexes(old, new, by_name=by_name)


def _primary_key(old: Relation, new: Relation) -> Iterator[Change]:
    before, after = (next((k.columns for k in side.constraints if k.kind == "p"), ()) for side in (old, new))
    if before != after:
        sentence = f"The primary key of {new.schema}.{new.name} changed."
        yield change("primary_key_changed", (new.schema, new.name), sentence, old=list(old.primary_key), new=list(new.primary_key))


def _constraints(relation: Relation) -> dict[tuple[int, tuple[int, ...]], Constraint]:
    return {_key(k): k for k in relation.constraints if k.kind in _WORDS}


def _key(constraint: Constraint) -> tuple[int, tuple[int, ...]]:
    """A domain's check stands once for each column of the domain."""
    return (constraint.oid, constraint.columns)


def _renamed(relation: Relation, old: Constraint, new: Constraint) -> Iterator[Change]:
    if old.name != new.name:
        sentence = f"Constraint {old.name} of {relation.schema}.{relation.name} was renamed to {new.name}."
        yield change("constraint_renamed", (relation.schema, relation.name), sentence, object=new.name, old=old.name, new=new.name)


def _made(relation: Relation, constraint: Constraint, how: str) -> Change:
    word = _WORDS[constraint.kind]
    sentence = f"The {word.replace('_', ' ')} constraint {constraint.name} was {how} {_on(relation, how)}: {constraint.definition}."
    text = {"new": constraint.definition} if how == "added" else {"old": constraint.definition}
    return change(f"{word}_{how}", (relation.schema, relation.name), sentence, object=constraint.name, **text)


def _on(relation: Relation, how: str) -> str:
    return f"{'to' if how == 'added' else 'from'} {relation.schema}.{relation.name}"


def _remade(relation: Relation, old: Constraint, new: Constraint) -> Change:
    kind = {"u": "unique_added"}.get(new.kind, f"{_WORDS[new.kind]}_changed")
    if new.kind == "c" and old.allowed and new.allowed and set(new.allowed) >= set(old.allowed):
        kind = "check_loosened"
    where = (relation.schema, relation.name)
    sentence = f"The {_WORDS[new.kind].replace('_', ' ')} constraint {new.name} of {'.'.join(where)} changed: {new.definition}."
    return change(kind, where, sentence, object=new.name, old=old.definition, new=new.definition)


def _indexes(old: Relation, new: Relation) -> Iterator[Change]:
    where = (new.schema, new.name)
    before, after = _plain(old), _plain(new)
    for shape, index in after.items():
        if shape not in before:
            yield change("unique_added", where, f"The unique index {index.name} was added to {'.'.join(where)}.", object=index.name)
    for shape, index in before.items():
        if shape not in after:
            yield change("unique_removed", where, f"The unique index {index.name} was removed from {'.'.join(where)}.", object=index.name)


def _other_indexes(old: Relation, new: Relation, by_name: bool) -> Iterator[Change]:
    """Indexes that ``ON CONFLICT`` cannot use. The same oid is the same index; one that was built anew is known by what it covers."""
    before, after = {i.oid: i for i in old.indexes}, {i.oid: i for i in new.indexes}
    same = set() if by_name else before.keys() & after.keys()
    was, now = ({_covers(i): i for oid, i in side.items() if oid not in same} for side in (before, after))
    for side, other, how, preposition in ((now, was, "added", "to"), (was, now, "removed", "from")):
        for covers, index in side.items():
            if covers not in other:
                unique = index.definition.startswith("CREATE UNIQUE")
                kind, title = (f"unique_{how}", "unique index") if unique else (f"index_{how}", "index")
                sentence = f"The {title} {index.name} was {how} {preposition} {new.schema}.{new.name}."
                text = {"new" if how == "added" else "old": index.definition}
                yield change(kind, (new.schema, new.name), sentence, object=index.name, **text)


def _covers(index: Index) -> str:
    """Its definition without its name and its table's."""
    return index.definition.partition(" USING ")[2] + (" UNIQUE" if index.definition.startswith("CREATE UNIQUE") else "")


def _plain(relation: Relation) -> dict[tuple[tuple[int, ...], bool], Index]:
    """Unique indexes by what they cover, without those that belong to constraints."""
    constraints = {k.name for k in relation.constraints if k.kind in "pu"}
    return {(i.columns, i.partial): i for i in relation.unique_indexes if i.name not in constraints}
