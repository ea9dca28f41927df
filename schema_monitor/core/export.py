"""A snapshot as SQL that rebuilds the schema, piece by piece, in an order that works.

With ``Definitions`` views, functions, triggers, domains, sequences and plain indexes are rebuilt as they were; without, what can be told
from the snapshot alone, and the rest is named in comments. ``MISSING`` says what is in neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from schema_monitor.core.definitions import Definitions, View
from schema_monitor.core.export_access import grant_pieces, policy_pieces
from schema_monitor.core.export_tables import Parts, attached, constraint_pieces, foreign_keys, table_piece
from schema_monitor.core.piece import Named, Piece, literal, named, quoted
from schema_monitor.core.snapshot import Relation, Snapshot

__all__ = ["MISSING", "Export", "Piece", "export"]

MISSING = (
    "rows, and where sequences and identity columns had got to",
    "roles, owners, default privileges, grant options, grants on schemas, functions and sequences",
    "options of identity columns, storage parameters, tablespaces, statistics objects, comments on anything but tables, views and columns",
    "aggregates, operators, ranges, functions in C, event triggers, rules, publications, foreign servers",
)
MISSING_WITHOUT = (
    "queries of views, bodies of functions, and so triggers",
    "indexes that are not unique; conditions of partial ones; how sequences count; collations of columns; partitions and inheritance",
)


class Export(Struct, frozen=True):
    """Pieces in order, and what none of them holds."""

    pieces: tuple[Piece, ...]
    missing: tuple[str, ...]

    def sql(self, title: str) -> str:
        """The whole as one script; ``title`` is its first comment."""
        lines = [f"-- {title}", "--", "-- Not in here:", *(f"--   {each}" for each in self.missing), "--"]
        lines += ["SET check_function_bodies = off;", "SET search_path = '';", ""]
        return "\n".join([*lines, *(piece.script for piece in self.pieces), ""])


def export(snapshot: Snapshot, definitions: Definitions | None = None) -> Export:
    """Everything, in the order: schemas, types, functions, tables, constraints, views, keys, triggers, rights, comments."""
    known = definitions or Definitions()
    parts = Parts.of(snapshot, known, complete=definitions is not None)
    tables = [r for r in snapshot.relations.values() if r.kind in ("r", "p", "f")]
    pieces = [
        *_schemas(snapshot, known),
        *_types(snapshot, parts),
        *_sequences(parts),
        *_functions(snapshot, known, late=False),
        *(table_piece(table, parts) for table in tables),
        *(piece for table in tables for piece in constraint_pieces(table, parts)),
        *_indexes(snapshot, parts, of_views=False),
        *(piece for table in tables for piece in attached(table, parts)),
        *_ownership(snapshot, known),
        *_views(snapshot, known),
        *_indexes(snapshot, parts, of_views=True),
        *_functions(snapshot, known, late=True),
        *(piece for table in tables for piece in foreign_keys(table, parts)),
        *_told(snapshot, parts),
        *(piece for r in snapshot.relations.values() for piece in _around(r, parts)),
    ]
    return Export(tuple(pieces), MISSING if definitions is not None else (*MISSING, *MISSING_WITHOUT))


def _schemas(snapshot: Snapshot, known: Definitions) -> Iterator[Piece]:
    things: list[Named] = [*snapshot.relations.values(), *snapshot.enums.values(), *snapshot.functions.values()]
    others: list[Named] = [*known.domains, *known.composites, *known.sequences, *known.functions]
    schemas = {*snapshot.exposed, *(t.schema for t in things), *(t.schema for t in others), *(schema for _, schema in known.extensions)}
    for schema in sorted(schemas - {"pg_catalog"}):
        yield Piece(f"schema {schema}", f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}")
    for name, schema in known.extensions:
        yield Piece(f"extension {name}", f"CREATE EXTENSION IF NOT EXISTS {quoted(name)} SCHEMA {quoted(schema)}")


def _types(snapshot: Snapshot, parts: Parts) -> Iterator[Piece]:
    for enum in snapshot.enums.values():
        labels = ", ".join(literal(label.name) for label in enum.labels)
        yield Piece(f"enum {enum.schema}.{enum.name}", f"CREATE TYPE {named(enum)} AS ENUM ({labels})")
    for each in parts.known.composites:
        attributes = ", ".join(f"{quoted(name)} {kind}" for name, kind in each.attributes)
        yield Piece(f"type {each.schema}.{each.name}", f"CREATE TYPE {named(each)} AS ({attributes})")
    for domain in parts.known.domains:
        preset = f" DEFAULT {domain.default}" if domain.default is not None else ""
        checks = "".join(f" CONSTRAINT {quoted(name)} {definition}" for name, definition in domain.checks)
        text = f"CREATE DOMAIN {named(domain)} AS {domain.type}{preset}{' NOT NULL' if domain.not_null else ''}{checks}"
        yield Piece(f"domain {domain.schema}.{domain.name}", text)
    if not parts.complete:
        yield from parts.guessed_domains()


def _sequences(parts: Parts) -> Iterator[Piece]:
    for s in parts.known.sequences:
        cycle = " CYCLE" if s.cycle else ""
        counts = f"INCREMENT {s.increment} MINVALUE {s.least} MAXVALUE {s.most} START {s.start} CACHE {s.cache}{cycle}"
        yield Piece(f"sequence {s.schema}.{s.name}", f"CREATE SEQUENCE {named(s)} AS {s.type} {counts}")
    if not parts.complete:
        yield from (Piece(f"sequence {name}", f"CREATE SEQUENCE {name}") for name in parts.guessed_sequences())


def _ownership(snapshot: Snapshot, known: Definitions) -> Iterator[Piece]:
    for s in known.sequences:
        relation = snapshot.relations.get(s.relation or 0)
        column = relation.by_attnum(s.attnum or 0) if relation is not None else None
        if relation is not None and column is not None:
            owner = f"{named(relation)}.{quoted(column.name)}"
            yield Piece(f"owner of sequence {s.schema}.{s.name}", f"ALTER SEQUENCE {named(s)} OWNED BY {owner}", (relation.oid,))


def _functions(snapshot: Snapshot, known: Definitions, late: bool) -> Iterator[Piece]:
    for each in known.functions:
        if each.late == late:
            served = not snapshot.exposed or each.schema in snapshot.exposed
            yield Piece(f"function {each.schema}.{each.name}", each.sql.strip(), matters=served)


def _indexes(snapshot: Snapshot, parts: Parts, of_views: bool) -> Iterator[Piece]:
    for oid, _, definition in parts.known.indexes:
        relation = snapshot.relations[oid]
        if relation.kind != "f" and (relation.kind == "m") == of_views:
            yield Piece(f"index of {relation.schema}.{relation.name}", definition.replace(" ON ONLY ", " ON ", 1), (oid,))
    if not parts.complete and not of_views:
        for relation in snapshot.relations.values():
            yield from parts.guessed_indexes(relation)


def _views(snapshot: Snapshot, known: Definitions) -> Iterator[Piece]:
    for view in _in_order(known.views):
        relation = snapshot.relations[view.oid]
        what, kind = f"view {relation.schema}.{relation.name}", "MATERIALIZED VIEW" if relation.kind == "m" else "VIEW"
        names = ", ".join(quoted(column.name) for column in relation.columns)
        options = f" WITH ({', '.join(view.options)})" if view.options else ""
        query = view.query.strip().removesuffix(";")
        tail = " WITH NO DATA" if relation.kind == "m" else ""
        yield Piece(what, f"CREATE {kind} {named(relation)} ({names}){options} AS {query}{tail}", (view.oid,))


def _in_order(views: Iterable[View]) -> Iterator[View]:
    """Each after those that it reads; views cannot go in a circle."""
    waiting = {view.oid: view for view in views}

    def with_needs(view: View) -> Iterator[View]:
        for oid in view.needs:
            if (need := waiting.pop(oid, None)) is not None:
                yield from with_needs(need)
        yield view

    while waiting:
        yield from with_needs(waiting.pop(next(iter(waiting))))


def _told(snapshot: Snapshot, parts: Parts) -> Iterator[Piece]:
    """What the snapshot knows of without being able to rebuild it: comments."""
    if parts.complete:
        return
    for relation in snapshot.relations.values():
        if relation.kind in ("v", "m"):
            columns = ", ".join(f"{column.name} {column.type}" for column in relation.columns)
            yield Piece.told(f"view {relation.schema}.{relation.name} ({columns}): its query is not stored")
        for trigger in relation.triggers:
            yield Piece.told(trigger)
    for function in snapshot.functions.values():
        taken = ", ".join(f"{a.name} {a.type}".strip() for a in function.arguments if a.mode in "ibv")
        yield Piece.told(f"function {function.schema}.{function.name}({taken}) returns {function.returns}: its body is not stored")


def _around(relation: Relation, parts: Parts) -> Iterator[Piece]:
    """Triggers, row security, grants and comments of one relation."""
    if not parts.complete and relation.kind in ("v", "m"):
        return
    own, target = (relation.oid,), named(relation)
    if parts.complete:
        yield from _triggers(relation, parts)
    if relation.row_security:
        yield Piece(f"row security of {target}", f"ALTER TABLE {target} ENABLE ROW LEVEL SECURITY", own)
    if relation.force_row_security:
        yield Piece(f"row security of {target}", f"ALTER TABLE {target} FORCE ROW LEVEL SECURITY", own)
    yield from policy_pieces(relation)
    yield from grant_pieces(relation)
    if relation.comment is not None:
        kind = {"v": "VIEW", "m": "MATERIALIZED VIEW"}.get(relation.kind, "TABLE")
        yield Piece(f"comment on {target}", f"COMMENT ON {kind} {target} IS {literal(relation.comment)}", own)
    for column in relation.columns:
        if column.comment is not None:
            text = f"COMMENT ON COLUMN {target}.{quoted(column.name)} IS {literal(column.comment)}"
            yield Piece(f"comment on {target}.{column.name}", text, own)


def _triggers(relation: Relation, parts: Parts) -> Iterator[Piece]:
    inherited = {name for parent in parts.parents(relation) for name in map(_trigger, parent.triggers)}
    for line in relation.triggers:
        definition = line.removesuffix(" DISABLED")
        name = _trigger(definition)
        if name in inherited:
            continue
        yield Piece(f"trigger {name} of {relation.name}", definition, (relation.oid,))
        if line != definition:
            text = f"ALTER TABLE {named(relation)} DISABLE TRIGGER {name}"
            yield Piece(f"trigger {name} of {relation.name}", text, (relation.oid,))


def _trigger(definition: str) -> str:
    """The trigger's name, quoted as it stands there."""
    _, _, rest = definition.partition("TRIGGER ")
    return rest[: rest.index('"', 1) + 1] if rest.startswith('"') else rest.split(" ", 1)[0]
