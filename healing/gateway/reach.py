"""Whether what a table's policies and defaults say may ask for the request's headers, which a shared statement leaves out.

By themselves, through a function of which nobody knows what it asks for, or through the policies of a table that they look at.
"""

from __future__ import annotations

import re

from schema_monitor.core.snapshot import Relation, Snapshot

_OWN_FUNCTION = re.compile(r"(?<![\w\".])(?!auth\.)[\w\"]+\.[\w\"]+\(")
"""A call of a function outside pg_catalog (names are qualified in the catalog's texts); Supabase's auth.* read claims only."""
_NAME = r'("(?:[^"]|"")+"|\w+)'
_LOOKS_AT = re.compile(rf"(?:\bFROM|\bJOIN|,)\s+\(*(?:ONLY\s+)?{_NAME}\.{_NAME}")
"""What may be a table in a subquery. It may be a column as well: then no table has its name."""


def asks_for_more(relation: Relation, snapshot: Snapshot, *, defaults: bool = False) -> bool:
    """Whether the policies of a table, and with ``defaults`` its columns' defaults, may ask for headers."""
    texts = [column.default or "" for column in relation.columns] if defaults else []
    return any(map(_asks, texts)) or _policies_ask(relation, snapshot, {relation.oid})


def _asks(text: str) -> bool:
    return "request.headers" in text or _OWN_FUNCTION.search(text) is not None


def _policies_ask(relation: Relation, snapshot: Snapshot, seen: set[int]) -> bool:
    return any(_asks(text) or _leads_to_more(text, snapshot, seen) for text in relation.policies)


def _leads_to_more(text: str, snapshot: Snapshot, seen: set[int]) -> bool:
    """Through a table with such policies, a view, or what nobody knows."""
    if "SELECT" not in text:
        return False
    for schema, name in _LOOKS_AT.findall(text):
        found = snapshot.named(_plain(schema), _plain(name))
        if not found or found[0].kind not in ("r", "p"):
            return True
        if found[0].oid not in seen:
            seen.add(found[0].oid)
            if _policies_ask(found[0], snapshot, seen):
                return True
    return False


def _plain(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
