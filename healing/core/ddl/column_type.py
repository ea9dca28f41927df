"""The type of a column that would take everything that was sent for a key, and no wider than that.

1. the type that columns of the same name have in other tables, where it suits
2. the type that the values are: whole numbers, dates, lists …; the name decides where they leave it open
3. text, or jsonb where objects or lists were sent
Whatever is chosen takes every value that was seen, unchanged.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from decimal import Decimal

from msgspec import Struct
from msgspec.structs import replace

from healing.core import guard
from healing.core.ddl.hints import usual_type
from healing.core.ddl.value_types import EMPTY_LISTS, is_no_day, type_of
from healing.core.match.names import name_of
from healing.core.match.values import family, fit, shape
from healing.core.refusals import Refusal, refusal
from healing.core.types import Json
from schema_monitor.core.snapshot import Column, Relation, Snapshot

BASES = {
    "boolean": "bool", "smallint": "int2", "integer": "int4", "bigint": "int8", "numeric": "numeric", "double precision": "float8",
    "real": "float4", "uuid": "uuid", "timestamp with time zone": "timestamptz", "timestamp without time zone": "timestamp", "date": "date",
    "time without time zone": "time", "jsonb": "jsonb", "text": "text",
}  # fmt: skip
_CONSTANT = re.compile(r"(?:'(?:[^']|'')*'::[\w \"]+(?:\[\])?|true|false|-?\d+(?:\.\d+)?)")
_SUITS = 0.6


class Chosen(Struct, frozen=True):
    """A type, how it was found, and what a column beside it has elsewhere."""

    type: str
    why: tuple[str, ...]
    against: tuple[str, ...] = ()
    default: str | None = None
    required: bool = False


def column_type(name: str, values: Iterable[Json], relation: Relation | None, snapshot: Snapshot, schema: str) -> Chosen:
    """The type for a new column ``name`` in ``schema``; ``relation`` is its table, None where that is new too."""
    every = list(values)
    sent = [value for value in every if value is not None]
    kin = _kin(name, relation, snapshot, schema)
    found = _as_elsewhere(name, sent, kin)
    if found is not None:
        return found if len(sent) == len(every) else replace(found, required=False)
    for kind, why in _natural(name, sent, relation, snapshot, schema):
        if takes(column(name, kind), sent):
            return Chosen(kind, (why,), _doubts(kind, sent))
    kind = "jsonb" if any(isinstance(value, dict | list) for value in sent) else "text"
    return Chosen(kind, (f"{len(sent)} values of different kinds were sent; {kind} takes them all",))


def column(name: str, kind: str) -> Column:
    """A nullable column of a type as this module spells it."""
    element = kind.removesuffix("[]")
    return Column(attnum=1, name=name, type=kind, base=BASES[element], array=kind != element)


def takes(wanted: Column, values: Iterable[Json]) -> bool:
    """Whether Postgres stores every one of the values in such a column as it is."""
    refuses = refusal(wanted, None)
    loses = guard.checks(Relation(0, "", "", "r", (wanted,))).get(wanted.name)
    dated = wanted.base in ("date", "timestamp", "timestamptz")
    return all(_lands(value, refuses, loses) and not (dated and is_no_day(value)) for value in values)


def _lands(value: Json, refuses: Refusal, loses: guard.Check | None) -> bool:
    return value is None or (refuses(value) is None and (loses is None or loses(value) is None))


def _kin(name: str, relation: Relation | None, snapshot: Snapshot, schema: str) -> list[Column]:
    """Columns of the same name in the other tables of the schema."""
    tables = (r for r in snapshot.relations.values() if r.schema == schema and r.kind in "rp" and r is not relation)
    return [c for table in tables if (c := table.column(name)) is not None and not c.generated and not c.identity]


def _as_elsewhere(name: str, sent: list[Json], kin: list[Column]) -> Chosen | None:
    if not kin:
        return None
    kind, times = Counter(c.type for c in kin).most_common(1)[0]
    alike = [c for c in kin if c.type == kind]
    if 2 * times <= len(kin) or not _suits(alike[0], sent):
        return None
    default = _shared_default(alike) if times > 1 and times == len(kin) else None
    tables = "another table" if times == 1 else f"{times} other tables"
    why = [f"`{name}` is {kind} in {tables}"] + ([f"there its default is {default}"] if default else [])
    required = default is not None and not any(c.nullable for c in alike)
    return Chosen(kind, tuple(why), default=default, required=required)


def _suits(like: Column, sent: list[Json]) -> bool:
    if like.enum is not None or like.domain is not None:
        return False  # its labels or checks would have to be asked, too
    kin = family(like.base, like.array, enum=False)
    return all(fit(shape(value), kin) >= _SUITS for value in sent) and takes(replace(like, nullable=True), sent)


def _shared_default(kin: list[Column]) -> str | None:
    defaults = {c.default for c in kin}
    found = defaults.pop() if len(defaults) == 1 else None
    return found if found is not None and _CONSTANT.fullmatch(found) else None


def _natural(name: str, sent: list[Json], relation: Relation | None, snapshot: Snapshot, schema: str) -> Iterator[tuple[str, str]]:
    usual = _usual(name, relation, snapshot, schema)
    if not sent:
        yield usual or "text", "no value was sent yet but null; the type is what such a name usually has"
        return
    kind = type_of(sent)
    said = f"{len(sent)} value{'s' if len(sent) > 1 else ''} sent, all of them fit {{}}"
    if usual != kind and usual in _ROOMIER.get(kind, ()):
        yield usual, f"{said.format(usual)}, which `{name}` usually is"
    if kind == EMPTY_LISTS:
        kind = "jsonb"
    if kind:
        yield kind, said.format(kind)


_ROOMIER = {
    "integer": ("numeric", "bigint", "double precision"),
    "bigint": ("numeric",),
    "numeric": ("double precision",),
    "date": ("timestamp with time zone",),
    EMPTY_LISTS: ("text[]", "uuid[]", "jsonb"),
}
"""Types that the name may ask for where the values are of a narrower one."""


def _usual(name: str, relation: Relation | None, snapshot: Snapshot, schema: str) -> str:
    """By the name; what an ``…_id`` is depends on what the tables are counted by."""
    usual = usual_type(name)
    if usual != "uuid":
        return usual
    words = name_of(name).stems[:-1]
    named = (r for r in snapshot.relations.values() if r.schema == schema and name_of(r.name).stems == words)
    for table in (*named, relation):
        key = table.column(table.primary_key[0]) if table is not None and len(table.primary_key) == 1 else None
        if key is not None and key.type in BASES:
            return key.type
    return usual


def _doubts(kind: str, sent: list[Json]) -> tuple[str, ...]:
    found = []
    if kind == "timestamp without time zone":
        found.append("the times that were sent say no time zone")
    if kind == "text" and any(isinstance(value, int | Decimal | bool) for value in sent):
        found.append("some values are numbers or true and false: they are stored as their text")
    if len(sent) == 1:
        found.append("it was seen once only")
    return tuple(found)
