"""Tables of an export: columns, constraints, partitions, and what can be told of types where only the snapshot is known."""

from __future__ import annotations

import re
from collections.abc import Iterator

from msgspec import Struct

from schema_monitor.core.definitions import Definitions
from schema_monitor.core.piece import Piece, named, quoted
from schema_monitor.core.snapshot import Column, Constraint, Relation, Snapshot

_VALUE = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\b(VALUE)\b""")
_NEXTVAL = re.compile(r"nextval\('((?:[^']|'')+)'::regclass\)")
_MODIFIED = {"varchar": "character varying", "bpchar": "character", "numeric": "numeric"}


class Parts(Struct, frozen=True):
    """A snapshot with its definitions, by oid."""

    snapshot: Snapshot
    known: Definitions
    complete: bool
    collations: dict[tuple[int, int], str]
    keys: dict[int, str]
    """of partitioned tables"""
    bounds: dict[int, tuple[int, str]]
    """of partitions: parent and bound"""
    inheriting: dict[int, tuple[int, ...]]
    domain_checks: frozenset[tuple[str, str]]
    presets: dict[str, str | None]
    """defaults of domains"""

    @classmethod
    def of(cls, snapshot: Snapshot, known: Definitions, *, complete: bool) -> Parts:
        """Sorted for look-ups."""
        inheriting: dict[int, tuple[int, ...]] = {}
        for child, parent in known.inheriting:
            inheriting[child] = (*inheriting.get(child, ()), parent)
        return cls(
            snapshot,
            known,
            complete,
            {(oid, attnum): collation for oid, attnum, collation in known.collations},
            dict(known.partitioned),
            {oid: (parent, bound) for oid, parent, bound in known.partitions},
            inheriting,
            frozenset(check for domain in known.domains for check in domain.checks),
            {f"{domain.schema}.{domain.name}": domain.default for domain in known.domains},
        )

    def parents(self, relation: Relation) -> Iterator[Relation]:
        """The partitioned table that it is a partition of."""
        oid, _ = self.bounds.get(relation.oid, (0, ""))
        if oid in self.snapshot.relations:
            yield self.snapshot.relations[oid]

    def is_domains(self, constraint: Constraint, relation: Relation) -> bool:
        """Whether a check belongs to the domain of its column."""
        if self.complete:
            return (constraint.name, constraint.definition) in self.domain_checks
        columns = [column for n in constraint.columns if (column := relation.by_attnum(n)) is not None]
        return any(c.domain is not None for c in columns) and any(m[1] for m in _VALUE.finditer(constraint.definition))

    def guessed_domains(self) -> Iterator[Piece]:
        """Domains as far as their columns tell."""
        seen: set[str] = set()
        for relation in self.snapshot.relations.values():
            for column in relation.columns:
                if column.domain is None or column.domain in seen or relation.kind in ("v", "m"):
                    continue
                seen.add(column.domain)
                checks = [k for k in relation.constraints if k.columns == (column.attnum,) and self.is_domains(k, relation)]
                text = "".join(f" CONSTRAINT {quoted(k.name)} {k.definition}" for k in checks)
                yield Piece(f"domain {column.domain}", f"CREATE DOMAIN {column.domain} AS {self._base(column)}{text}")

    def guessed_sequences(self) -> list[str]:
        """Names of sequences that defaults call."""
        defaults = (column.default or "" for relation in self.snapshot.relations.values() for column in relation.columns)
        return list(dict.fromkeys(found[1].replace("''", "'") for text in defaults for found in _NEXTVAL.finditer(text)))

    def guessed_indexes(self, relation: Relation) -> Iterator[Piece]:
        """Unique indexes that belong to no constraint; partial ones only as a comment."""
        constraints = {constraint.name for constraint in relation.constraints if constraint.kind in "pu"}
        for index in relation.unique_indexes:
            if index.name in constraints:
                continue
            text = f"CREATE UNIQUE INDEX {quoted(index.name)} ON {named(relation)} ({_names(relation, index.columns)})"
            if index.partial:
                yield Piece.told(f"{text} WHERE …: its condition is not stored")
            else:
                yield Piece(f"index {index.name}", text, (relation.oid,))

    def _base(self, column: Column) -> str:
        enum = self.snapshot.enums.get(column.enum or 0)
        name = named(enum) if enum is not None else _MODIFIED.get(column.base, f"pg_catalog.{quoted(column.base)}")
        if column.length is not None:
            name += f"({column.length})"
        elif column.precision is not None and column.base == "numeric":
            name += f"({column.precision},{column.scale or 0})"
        return name + ("[]" if column.array else "")


def table_piece(table: Relation, parts: Parts) -> Piece:
    """The table with its columns; checks and keys come later."""
    columns = ",\n".join(f"    {_column(table, column, parts)}" for column in table.columns)
    key = f" PARTITION BY {parts.keys[table.oid]}" if table.oid in parts.keys else ""
    return Piece(f"table {table.schema}.{table.name}", f"CREATE TABLE {named(table)} (\n{columns}\n){key}", (table.oid,))


def constraint_pieces(table: Relation, parts: Parts) -> Iterator[Piece]:
    """Checks, primary key, unique and exclusion constraints."""
    for constraint in table.constraints:
        if constraint.kind in "puxc" and not parts.is_domains(constraint, table):
            yield _constraint(table, constraint)


def foreign_keys(table: Relation, parts: Parts) -> Iterator[Piece]:
    """Foreign keys, without those that a partition has from its parent."""
    inherited = {_key(parent, k) for parent in parts.parents(table) for k in parent.constraints if k.kind == "f"}
    for constraint in table.constraints:
        if constraint.kind == "f" and _key(table, constraint) not in inherited:
            piece = _constraint(table, constraint)
            yield Piece(piece.what, piece.sql, (table.oid, constraint.references or 0))


def attached(table: Relation, parts: Parts) -> Iterator[Piece]:
    """Its place below another table."""
    parent, bound = parts.bounds.get(table.oid, (0, ""))
    if parent in parts.snapshot.relations:
        above = parts.snapshot.relations[parent]
        text = f"ALTER TABLE {named(above)} ATTACH PARTITION {named(table)} {bound}"
        yield Piece(f"partition {table.schema}.{table.name}", text, (table.oid, parent))
    for oid in parts.inheriting.get(table.oid, ()):
        if oid in parts.snapshot.relations:
            text = f"ALTER TABLE {named(table)} INHERIT {named(parts.snapshot.relations[oid])}"
            yield Piece(f"inheritance of {table.schema}.{table.name}", text, (table.oid, oid))


def _column(table: Relation, column: Column, parts: Parts) -> str:
    words = [quoted(column.name), column.type]
    if (collation := parts.collations.get((table.oid, column.attnum))) is not None:
        words.append(f"COLLATE {collation}")
    if column.identity:
        words.append(f"GENERATED {'ALWAYS' if column.identity == 'a' else 'BY DEFAULT'} AS IDENTITY")
    elif column.generated:
        words.append(f"GENERATED ALWAYS AS ({column.default}) {'STORED' if column.generated == 's' else 'VIRTUAL'}")
    elif column.default is not None and parts.presets.get(column.domain or "") != column.default:
        words.append(f"DEFAULT {column.default}")
    if not column.nullable:
        words.append("NOT NULL")
    return " ".join(words)


def _constraint(table: Relation, constraint: Constraint) -> Piece:
    text = f"ALTER TABLE {named(table)} ADD CONSTRAINT {quoted(constraint.name)} {constraint.definition}"
    return Piece(f"constraint {constraint.name} of {table.schema}.{table.name}", text, (table.oid,))


def _key(table: Relation, constraint: Constraint) -> tuple[str, int | None]:
    return (_names(table, constraint.columns), constraint.references)


def _names(table: Relation, attnums: tuple[int, ...]) -> str:
    return ", ".join(quoted(column.name) for n in attnums if (column := table.by_attnum(n)) is not None)
