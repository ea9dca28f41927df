"""``Row``, ``Insert``, ``Update`` and ``Relationships`` of a table or a view."""

from __future__ import annotations

from collections.abc import Iterator

from healing.gateway.relationships import Link, links_of
from healing.typings.kinds import Kinds, name, text
from schema_monitor.core.snapshot import Column, Relation

Lines = Iterator[str]
VIEWS = ("v", "m")


def relation(table: Relation, kinds: Kinds) -> Lines:
    """The entry of one relation, indented from zero."""
    columns = sorted(table.columns, key=lambda c: c.name)
    yield f"{name(table.name)}: {{"
    yield from _block("Row", [f"{name(c.name)}: {_row(c, kinds)}" for c in columns])
    if table.insertable or table.kind not in VIEWS:
        yield from _block("Insert", [_written(c, table, kinds, optional=_optional(c, table)) for c in columns])
    if table.updatable or table.kind not in VIEWS:
        yield from _block("Update", [_written(c, table, kinds, optional=True) for c in columns])
    yield from _relationships(table, kinds)
    yield "}"


def _block(title: str, lines: list[str]) -> Lines:
    yield f"  {title}: {{"
    yield from (f"    {line}" for line in lines or ["[_ in never]: never"])
    yield "  }"


def _row(column: Column, kinds: Kinds) -> str:
    kind = kinds.column(column)
    return f"{kind} | null" if column.nullable and kind != "unknown" else kind


def _written(column: Column, table: Relation, kinds: Kinds, *, optional: bool) -> str:
    """What the database computes itself may not be given."""
    if column.generated or column.identity == "a":
        return f"{name(column.name)}?: never"
    return f"{name(column.name)}{'?' * optional}: {_row(column, kinds)}"


def _optional(column: Column, table: Relation) -> bool:
    return column.nullable or column.default is not None or bool(column.identity) or table.kind in VIEWS


def _relationships(table: Relation, kinds: Kinds) -> Lines:
    links = _links(table, kinds)
    if not links:
        yield "  Relationships: []"
        return
    yield "  Relationships: ["
    for link in links:
        yield from (f"    {line}" for line in _link(link))
    yield "  ]"


def _links(table: Relation, kinds: Kinds) -> list[Link]:
    """Foreign keys that start here, to tables and to their views, each once."""
    found = [
        link
        for link in links_of(kinds.snapshot).get(table.oid, ())
        if link.to_one and link.constraint and link.target.schema in kinds.schemas and _starts_here(link, table)
    ]
    unique = {(link.constraint, link.target.name, link.pairs): link for link in found}
    return [unique[same] for same in sorted(unique)]


def _starts_here(link: Link, table: Relation) -> bool:
    """A one-to-one link is there from both sides; only the side that has the key counts."""
    own = {c.name for c in table.constraints if c.kind == "f"}
    return link.kind == "m2o" or table.kind in VIEWS or link.constraint in own


def _link(link: Link) -> Lines:
    here, there = (", ".join(text(pair[side]) for pair in link.pairs) for side in (0, 1))
    yield "{"
    yield f"  foreignKeyName: {text(link.constraint)}"
    yield f"  columns: [{here}]"
    yield f"  isOneToOne: {'true' if link.kind == 'o2o' else 'false'}"
    yield f"  referencedRelation: {text(link.target.name)}"
    yield f"  referencedColumns: [{there}]"
    yield "},"
