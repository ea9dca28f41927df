"""Two versions side by side: for every table that differs, what stayed, changed, was renamed, came and went. Pure.

Tables and columns are paired by identity within one database, by name across two, as in ``schema_monitor.core.diff``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct

from healing.row_diff import Line
from schema_monitor.core.changes import Change
from schema_monitor.core.diff import diff
from schema_monitor.core.diff_access import grants
from schema_monitor.core.severity import LEVELS
from schema_monitor.core.snapshot import Column, EnumType, Function, Relation, Snapshot

_RIGHTS = {"r": "read", "a": "insert", "w": "update", "d": "delete", "D": "truncate", "x": "reference", "t": "trigger", "m": "maintain"}
KINDS = {"r": "table", "p": "partitioned table", "v": "view", "m": "materialized view", "f": "foreign table"}


class Pair(Struct, frozen=True):
    """One thing in both versions (one side may be empty). ``mark``: changed, moved (renamed), added, removed."""

    what: str
    left: str
    right: str
    mark: str
    lines: tuple[Line, ...]
    oid: int = 0
    """of the relation on the right, for its page."""

    @property
    def title(self) -> str:
        """The name, or both."""
        return self.right or self.left


class Comparison(Struct, frozen=True):
    """Everything that differs, and how much is the same."""

    changes: tuple[Change, ...]
    pairs: tuple[Pair, ...]
    same: int

    @property
    def worst(self) -> str:
        """The highest severity, or ''."""
        return max((c.severity for c in self.changes), key=LEVELS.index, default="")


def compare(old: Snapshot, new: Snapshot) -> Comparison:
    """What differs from ``old`` to ``new``; tables first, then enums, then functions."""
    by_name = old.scope != new.scope
    served = [{oid: r for oid, r in side.relations.items() if side.serves(r)} for side in (old, new)]
    tables = list(_pairs(served[0], served[1], by_name))
    enums = list(_pairs(old.enums, new.enums, by_name))
    functions = list(_pairs(old.functions, new.functions, by_name))
    shown = [
        *(_relation(a, b, by_name) for a, b in tables if _differ(a, b)),
        *(_enum(a, b, by_name) for a, b in enums if a != b),
        *(_function(a, b) for a, b in functions if a != b),
    ]
    return Comparison(diff(old, new), tuple(shown), len(tables) + len(enums) + len(functions) - len(shown))


def _pairs(old: Mapping[int, Any], new: Mapping[int, Any], by_name: bool) -> Iterator[tuple[Any, Any]]:
    """In order of names. By name, what has no namesake stands alone."""
    here = {_key(oid, thing, by_name): thing for oid, thing in old.items()}
    there = {_key(oid, thing, by_name): thing for oid, thing in new.items()}
    order = sorted(here.keys() | there.keys(), key=lambda key: _name(there.get(key) or here[key]))
    for key in order:
        yield here.get(key), there.get(key)


def _key(oid: int, thing: Any, by_name: bool) -> object:
    return (thing.schema, thing.name, getattr(thing, "arguments", None)) if by_name else oid


def _differ(a: Relation | None, b: Relation | None) -> bool:
    return a is None or b is None or a.fingerprint != b.fingerprint or (not a.fingerprint and a != b)


def _relation(a: Relation | None, b: Relation | None, by_name: bool) -> Pair:
    shown = b or a
    assert shown is not None
    lines = [*_columns(a, b, by_name), *_parts(_facts(a), _facts(b))]
    return Pair(KINDS.get(shown.kind, "relation"), _name(a), _name(b), _mark(_name(a), _name(b)), tuple(lines), oid=b.oid if b else 0)


def _columns(a: Relation | None, b: Relation | None, by_name: bool) -> Iterator[Line]:
    here = {c.name if by_name else c.attnum: c for c in (a.columns if a else ())}
    there = {c.name if by_name else c.attnum: c for c in (b.columns if b else ())}
    for key in dict.fromkeys((*here, *there)):
        left, right = here.get(key), there.get(key)
        yield line(left.name if left else "", column_text(left), right.name if right else "", column_text(right))


def column_text(column: Column | None) -> str:
    """Everything about a column but its name, as SQL would say it."""
    if column is None:
        return ""
    words = [column.domain or column.type]
    words += ["not null"] if not column.nullable else []
    words += [f"generated {'always' if column.identity == 'a' else 'by default'} as identity"] if column.identity else []
    if column.generated:
        words.append(f"generated as ({column.default}) {'stored' if column.generated == 's' else 'virtual'}")
    elif column.default is not None:
        words.append(f"default {column.default}")
    words += [f"· {column.comment}"] if column.comment else []
    return " ".join(words)


def rights_of(relation: Relation) -> list[tuple[str, str]]:
    """(role, what it may do), without the owner's."""
    held: dict[str, set[tuple[str, str]]] = {}
    for column, grantee, letter in grants(relation.acl):
        held.setdefault(grantee or "public (everybody)", set()).add((letter, column))
    order = list(_RIGHTS)

    def spoken(letters: set[tuple[str, str]]) -> str:
        ranked = sorted(letters, key=lambda pair: (pair[1], order.index(pair[0]) if pair[0] in order else len(order)))
        return ", ".join(_RIGHTS.get(letter, letter) + (f" of {column}" if column else "") for letter, column in ranked)

    return [(role, spoken(letters)) for role, letters in sorted(held.items())]


def _facts(relation: Relation | None) -> dict[str, str]:
    """Everything that is no column, by a name that says what it is."""
    if relation is None:
        return {}
    facts = {f"constraint {c.name}": c.definition for c in relation.constraints if c.kind != "n"}
    named = {c.name for c in relation.constraints}
    facts |= {f"unique index {i.name}": _index(relation, i.columns, i.partial) for i in relation.unique_indexes if i.name not in named}
    facts["row security"] = "on" + (", owner too" if relation.force_row_security else "") if relation.row_security else "off"
    facts |= {f"policy {policy.split(' ', 1)[0]}": policy.partition(" ")[2] for policy in relation.policies}
    facts |= {f"trigger {n + 1}": trigger for n, trigger in enumerate(relation.triggers)}
    facts |= {f"rights of {role}": rights for role, rights in rights_of(relation)}
    takes = [word for word, may in (("insert", relation.insertable), ("update", relation.updatable), ("delete", relation.deletable)) if may]
    facts["takes"] = ", ".join(takes) or "no writes"
    return facts | ({"comment": relation.comment} if relation.comment else {})


def _index(relation: Relation, columns: tuple[int, ...], partial: bool) -> str:
    names = (c.name if (c := relation.by_attnum(n)) else "an expression" for n in columns)
    return f"({', '.join(names)})" + (" partial" if partial else "")


def _parts(left: dict[str, str], right: dict[str, str]) -> Iterator[Line]:
    for key in dict.fromkeys((*left, *right)):
        yield line(key if key in left else "", left.get(key, ""), key if key in right else "", right.get(key, ""))


def _enum(a: EnumType | None, b: EnumType | None, by_name: bool) -> Pair:
    here = {label.name if by_name else label.oid: label.name for label in (a.labels if a else ())}
    there = {label.name if by_name else label.oid: label.name for label in (b.labels if b else ())}
    lines = tuple(line(here.get(key, ""), "", there.get(key, ""), "") for key in dict.fromkeys((*here, *there)))
    return Pair("enum", _name(a), _name(b), _mark(_name(a), _name(b)), lines)


def _function(a: Function | None, b: Function | None) -> Pair:
    here, there = _signature(a), _signature(b)
    return Pair("function", _name(a), _name(b), _mark(_name(a), _name(b)), tuple(_parts(here, there)))


def _signature(function: Function | None) -> dict[str, str]:
    if function is None:
        return {}
    taken = ", ".join(f"{a.name} {a.type}{' default' if a.has_default else ''}".strip() for a in function.arguments)
    volatility = {"i": "immutable", "s": "stable"}.get(function.volatility, "volatile")
    return {"takes": f"({taken})", "returns": ("setof " if function.returns_set else "") + function.returns, "is": volatility}


def line(left_key: str, left: str, right_key: str, right: str) -> Line:
    """One row of the table, marked."""
    if not left_key or not right_key:
        mark = "removed" if left_key else "added"
    elif left != right:
        mark = "changed"
    else:
        mark = "same" if left_key == right_key else "moved"
    return Line(left_key, left, right_key, right, mark)


def _mark(left: str, right: str) -> str:
    if not left or not right:
        return "removed" if left else "added"
    return "changed" if left == right else "moved"


def _name(thing: Relation | EnumType | Function | None) -> str:
    return "" if thing is None else f"{thing.schema}.{thing.name}"


def only(pairs: Iterable[Pair], word: str) -> tuple[Pair, ...]:
    """Those whose name, or whose columns' names, hold a word."""
    low = word.casefold()
    return tuple(
        p for p in pairs if low in f"{p.left} {p.right}".casefold() or any(low in f"{x.left_key} {x.right_key}".casefold() for x in p.lines)
    )
