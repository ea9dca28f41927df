"""Which part of a large schema a piece of DDL may touch."""

from __future__ import annotations

import re

from schema_monitor.core.definitions import Definitions
from schema_monitor.core.snapshot import Snapshot

_WORD = re.compile(r'"((?:[^"]|"")+)"|([^\W\d][\w$]*)')


def around(ddl: str, snapshot: Snapshot, definitions: Definitions, most: int) -> frozenset[int]:
    """Relations (oids) whose name stands in the DDL, with what refers to them and what they refer to by foreign key, views over them,
    partitions and parents; nearest first, at most ``most``."""
    words = {found[1].replace('""', '"') if found[1] else found[2].lower() for found in _WORD.finditer(ddl)}
    found = dict.fromkeys(oid for oid, relation in snapshot.relations.items() if relation.name in words)
    links = _links(snapshot, definitions)
    edge = list(found)
    while edge and len(found) < most:
        edge = [oid for near in edge for oid in links.get(near, ()) if oid in snapshot.relations and oid not in found]
        found.update(dict.fromkeys(edge))
    return frozenset(list(found)[:most])


def _links(snapshot: Snapshot, definitions: Definitions) -> dict[int, list[int]]:
    pairs = [(oid, k.references) for oid, r in snapshot.relations.items() for k in r.constraints if k.references is not None]
    pairs += [(view.oid, oid) for view in definitions.views for oid in view.needs]
    pairs += [(child, parent) for child, parent, _ in definitions.partitions] + list(definitions.inheriting)
    links: dict[int, list[int]] = {}
    for one, other in pairs:
        links.setdefault(one, []).append(other)
        links.setdefault(other, []).append(one)
    return links
