"""What a snapshot leaves out because nobody needs it to serve requests, and a copy of the schema needs: texts of views and functions,
domains, sequences, plain indexes, partitions. Read beside a snapshot (``sql/definitions.sql``); everything by the snapshot's oids."""

from __future__ import annotations

from msgspec import Struct


class Domain(Struct, frozen=True):
    """A domain as it was declared; ``checks`` are (name, definition)."""

    schema: str
    name: str
    type: str
    not_null: bool = False
    default: str | None = None
    checks: tuple[tuple[str, str], ...] = ()


class Composite(Struct, frozen=True):
    """A row type of its own; ``attributes`` are (name, type)."""

    schema: str
    name: str
    attributes: tuple[tuple[str, str], ...]


class Sequence(Struct, frozen=True):
    """A sequence that is no identity column's; ``relation`` and ``attnum`` of the column that owns it."""

    schema: str
    name: str
    type: str
    start: int
    increment: int
    least: int
    most: int
    cache: int
    cycle: bool
    relation: int | None = None
    attnum: int | None = None


class Routine(Struct, frozen=True):
    """A function or procedure as ``CREATE OR REPLACE …``. ``late``: it refers to tables in what it takes, returns or is made of."""

    schema: str
    name: str
    sql: str
    late: bool = False


class View(Struct, frozen=True):
    """A view's query; ``needs`` are the relations it reads."""

    oid: int
    query: str
    options: tuple[str, ...] = ()
    needs: tuple[int, ...] = ()


class Definitions(Struct, frozen=True):
    """All of it at one moment."""

    extensions: tuple[tuple[str, str], ...] = ()
    """(name, schema)"""
    domains: tuple[Domain, ...] = ()
    composites: tuple[Composite, ...] = ()
    sequences: tuple[Sequence, ...] = ()
    functions: tuple[Routine, ...] = ()
    views: tuple[View, ...] = ()
    indexes: tuple[tuple[int, int, str], ...] = ()
    """(relation, oid, definition) of indexes that belong to no constraint"""
    collations: tuple[tuple[int, int, str], ...] = ()
    """(relation, attnum, collation) where it is not the type's own"""
    partitioned: tuple[tuple[int, str], ...] = ()
    """(relation, key)"""
    partitions: tuple[tuple[int, int, str], ...] = ()
    """(relation, parent, bound)"""
    inheriting: tuple[tuple[int, int], ...] = ()
    """(relation, parent) of plain inheritance"""
