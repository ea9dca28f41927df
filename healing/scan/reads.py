"""What is wrong with what a call names outside of its payload: filters, order, onConflict, the select list. Judged by the gateway's own
parsers and look-ups, so that both say the same."""

from __future__ import annotations

from collections.abc import Iterator

from healing.core.sources.calls import DataCall, Place, Use
from healing.core.sources.findings import Finding, Level, found
from healing.core.sources.writes import World, listed
from healing.gateway.embedding import find_link
from healing.gateway.errors import DialectError
from healing.gateway.field import parse_field
from healing.gateway.names import Names
from healing.gateway.scan import Scanner
from healing.gateway.select import SelectItem, SelectRelation, parse_select
from schema_monitor.core.snapshot import Column, Relation

_FALSE_FRIENDS = ("eq", "neq")


def judge_reads(call: DataCall, relation: Relation, world: World) -> Iterator[Finding]:
    """Everything that is wrong with the names of one call."""
    tree = _tree(call)
    if isinstance(tree, Finding):
        yield tree
        tree = ()
    if tree and call.select_place is not None:
        yield from _items(tree, relation, world, call.select_place)
    for use in call.uses:
        if use.how != "conflict":
            yield from _use(use, tree, relation, world)
    yield from _conflict(call, relation, world)


def _tree(call: DataCall) -> tuple[SelectItem, ...] | Finding:
    if call.select is None or call.select_place is None:
        return ()
    try:
        return parse_select(unspaced(call.select))
    except DialectError as error:
        return found("bad-select", call.select_place, f"the select list cannot be read: {error}", table=call.table or "")


def unspaced(select: str) -> str:
    """The list as postgrest-js sends it: without white space outside of quotes."""
    parts = select.split('"')
    return '"'.join("".join(part.split()) if n % 2 == 0 else part for n, part in enumerate(parts))


def _items(items: tuple[SelectItem, ...], relation: Relation, world: World, place: Place) -> Iterator[Finding]:
    for item in items:
        if isinstance(item, SelectRelation):
            yield from _embedded(item, relation, world, place)
        elif item.field.name != "*" and item.field.name != "count":
            yield from _column(item.field.name, relation, world, place, "the select list names")


def _embedded(item: SelectRelation, relation: Relation, world: World, place: Place) -> Iterator[Finding]:
    names = Names(world.snapshot, world.lineage)
    try:
        link = find_link(names, relation, item.name, item.hint, relation.schema)
    except DialectError as error:
        if not _computed(item.name, relation, world):
            yield found(
                "unknown-relationship", place, f"{relation.name} cannot embed `{item.name}`: {_said(error)}",
                fix=str(getattr(error, "hint", None) or ""), table=relation.name, column=item.name,
            )  # fmt: skip
        return
    yield from _items(item.items, link.target, world, place)


def _said(error: DialectError) -> str:
    return str(getattr(error, "message", "") or error).rstrip(".")


def _computed(name: str, relation: Relation, world: World) -> bool:
    """A function that takes the row: a computed column or relationship of PostgREST."""
    taking = (f for f in world.snapshot.functions.values() if f.name == name and len(f.arguments) >= 1)
    return any(f.arguments[0].type.split(".")[-1].strip('"') == relation.name for f in taking)


def _use(use: Use, tree: tuple[SelectItem, ...], relation: Relation, world: World) -> Iterator[Finding]:
    """A filter or an order, on the table itself or on what it embeds."""
    where = _reached(use.name, tree, relation, world)
    if where is None:
        return
    home, name = where
    says = "a filter names" if use.how == "filter" else "the order names"
    yield from _column(name, home, world, use.place, says)
    column = home.column(name)
    if column is not None and use.operator in _FALSE_FRIENDS:
        yield from _label(use, column, home, world)


def _reached(text: str, tree: tuple[SelectItem, ...], relation: Relation, world: World) -> tuple[Relation, str] | None:
    """The relation and the column that ``a.b.col->>x`` means; None where that cannot be told."""
    path, _, rest = text.rpartition(".") if "->" not in text else ("", "", text)
    for step in path.split(".") if path else ():
        item = next((i for i in tree if isinstance(i, SelectRelation) and i.key == step), None)
        if item is None:
            return None
        try:
            relation = find_link(Names(world.snapshot, world.lineage), relation, item.name, item.hint, relation.schema).target
        except DialectError:
            return None
        tree = item.items
    try:
        scanner = Scanner(rest, rest)
        return relation, parse_field(scanner).name
    except DialectError:
        return None


def _column(name: str, relation: Relation, world: World, place: Place, says: str) -> Iterator[Finding]:
    names = Names(world.snapshot, world.lineage)
    live = names.find_column(relation, name)
    if live is None and not _computed(name, relation, world):
        hint = names.hint(relation, name) or ""
        yield found(
            "unknown-column-read",
            place,
            f"{says} `{name}`, which {relation.name} does not have",
            fix=hint,
            table=relation.name,
            column=name,
        )
    elif names.healed and live is not None:
        message = f"`{name}` is called `{live.name}` now in {relation.name}"
        op = {"op": "rename_column", "from": name, "to": live.name}
        yield found("renamed", place, message, fix=f"write `{live.name}`", table=relation.name, column=name, ops=(op,))


def _label(use: Use, column: Column, relation: Relation, world: World) -> Iterator[Finding]:
    """Postgres refuses to compare an enum with what is no label of it."""
    enum = world.snapshot.enums.get(column.enum or 0)
    if enum is None or column.array:
        return
    labels = {label.name for label in enum.labels}
    names = Names(world.snapshot, world.lineage)
    for value in use.value.values:
        if isinstance(value, str) and value not in labels and names.label(column, value) == value:
            level = Level.ERROR if use.value.sure and len(use.value.values) == 1 else Level.WARNING
            message = f"{relation.name}.{column.name} (one of {listed(sorted(labels))}) is never '{value}'"
            yield found(
                "unknown-label",
                use.place,
                message,
                level=level,
                fix="compare with a label that there is",
                table=relation.name,
                column=column.name,
            )


def _conflict(call: DataCall, relation: Relation, world: World) -> Iterator[Finding]:
    """``ON CONFLICT`` needs a unique index over exactly these columns; without onConflict the primary key is meant."""
    uses = [use for use in call.uses if use.how == "conflict"]
    if call.operation != "upsert" or not uses or relation.kind not in ("r", "p"):
        return
    names = Names(world.snapshot, world.lineage)
    columns = []
    for use in uses:
        column = names.find_column(relation, use.name)
        if column is None:
            yield found(
                "conflict-target",
                use.place,
                f"onConflict names `{use.name}`, which {relation.name} does not have",
                table=relation.name,
                column=use.name,
            )
            return
        columns.append(column.attnum)
    if frozenset(columns) not in unique_sets(relation):
        listed = ", ".join(use.name for use in uses)
        fix = f"CREATE UNIQUE INDEX ON {relation.schema}.{relation.name} ({listed})" + _other_targets(relation)
        yield found(
            "conflict-target",
            uses[0].place,
            f"no unique index of {relation.name} covers exactly {listed}",
            fix=fix,
            table=relation.name,
            column=listed,
        )


def unique_sets(relation: Relation) -> set[frozenset[int]]:
    """The sets of columns that ``ON CONFLICT`` may name."""
    constraints = {frozenset(c.columns) for c in relation.constraints if c.kind in ("p", "u")}
    return constraints | {frozenset(i.columns) for i in relation.unique_indexes if not i.partial and all(n > 0 for n in i.columns)}


def _other_targets(relation: Relation) -> str:
    known = [", ".join(c.name for n in sorted(s) if (c := relation.by_attnum(n)) is not None) for s in unique_sets(relation)]
    return f"; there are unique indexes on ({'), ('.join(sorted(known))})" if known else ""
