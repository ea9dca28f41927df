"""Which link an embedded name means: PostgREST's rules, with its answers where none or several fit."""

from __future__ import annotations

from healing.gateway.errors import ambiguous_relationship, no_relationship
from healing.gateway.names import Names
from healing.gateway.relationships import Link, links_of
from schema_monitor.core.lineage import Renamed
from schema_monitor.core.snapshot import Column, Relation


def find_link(names: Names, origin: Relation, target: str, hint: str | None, schema: str) -> Link:
    """The one link from ``origin`` to what the caller calls ``target``; PGRST200 for none, PGRST201 for several. Targets
    lie in the request's schema: a foreign key never leads out of what is exposed."""
    candidates = [
        link
        for link in links_of(names.snapshot).get(origin.oid, ())
        if link.target.schema == schema and (link.junction is None or link.junction.table.schema == schema)
    ]
    found = [link for link in candidates if _fits(names, link, target, hint)]
    if not found:
        found = _by_lineage(names, candidates, target, hint, schema)
    if not found:
        raise no_relationship(origin.name, target, hint, schema)
    if len(found) > 1:
        raise _ambiguous(origin, target, found)
    return found[0]


def _by_lineage(names: Names, candidates: list[Link], target: str, hint: str | None, schema: str) -> list[Link]:
    """The same with a former name of the target table."""
    if names.snapshot.named(schema, target):
        return []
    renamed = names.find_relation(schema, target)
    if renamed is None or renamed.schema != schema:
        return []
    return [link for link in candidates if _fits(names, link, renamed.name, hint)]


def _fits(names: Names, link: Link, target: str, hint: str | None) -> bool:
    if link.own:
        return _fits_own(names, link, target, hint)
    named = link.target.name == target
    if hint is not None:
        return named and _fits_hint(names, link, hint)
    plain = link.target.kind not in ("v", "m")
    return named or (plain and (link.constraint == target != "" or _own_key(names, link, target)))


def _fits_hint(names: Names, link: Link, hint: str) -> bool:
    if link.junction is not None:
        return link.junction.table.name == hint
    return link.constraint == hint or _own_key(names, link, hint) or _their_key(names, link, hint)


def _fits_own(names: Names, link: Link, target: str, hint: str | None) -> bool:
    """A key to the same table is two links; the table's name means the many, the column's name the one."""
    named = link.kind == "o2m" and link.target.name == target
    if hint is not None:
        return named and _their_key(names, link, hint)
    return named or (link.kind == "m2o" and _own_key(names, link, target))


def _own_key(names: Names, link: Link, name: str) -> bool:
    return len(link.pairs) == 1 and _means(names, link.origin, name, link.pairs[0][0])


def _their_key(names: Names, link: Link, name: str) -> bool:
    return len(link.pairs) == 1 and _means(names, link.target, name, link.pairs[0][1])


def _means(names: Names, relation: Relation, name: str, column: str) -> bool:
    if name == column:
        return True
    if names.lineage is None or relation.column(name) is not None:
        return False
    match names.lineage.resolve_column(relation, name):
        case Renamed(Column() as found):
            return found.name == column
    return False


def _ambiguous(origin: Relation, target: str, found: list[Link]) -> Exception:
    ways = [f"{link.target.name}!{link.junction.table.name if link.junction else link.constraint}" for link in found]
    return ambiguous_relationship(origin.name, target, [_described(link) for link in found], ways)


def _described(link: Link) -> dict[str, str]:
    kinds = {"m2o": "many-to-one", "o2m": "one-to-many", "o2o": "one-to-one", "m2m": "many-to-many"}
    return {
        "cardinality": kinds[link.kind],
        "embedding": f"{link.origin.name} with {link.target.name}",
        "relationship": _relationship(link),
    }


def _relationship(link: Link) -> str:
    if link.junction is not None:
        here = ", ".join(column for _, column in link.junction.pairs)
        there = ", ".join(column for _, column in link.junction.target_pairs)
        return f"{link.junction.table.name} using {link.junction.constraint}({here}) and {link.junction.other}({there})"
    here = ", ".join(column for column, _ in link.pairs)
    there = ", ".join(column for _, column in link.pairs)
    return f"{link.constraint} using {link.origin.name}({here}) and {link.target.name}({there})"
