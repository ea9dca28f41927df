"""Whether what a table says may ask for the request's headers, which a shared statement leaves out, or runs what no other request's
row should share: policies, defaults, checks, generated columns, triggers; and what a write runs beyond the table itself.

Policies also ask through the policies of a table that they look at. Indexes are not looked at: what they call must not depend on settings.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from schema_monitor.core.asking import asks
from schema_monitor.core.snapshot import Relation, Snapshot

_NAME = r'("(?:[^"]|"")+"|\w+)'
_LOOKS_AT = re.compile(rf"(?:\bFROM|\bJOIN|,)\s+\(*(?:ONLY\s+)?{_NAME}\.{_NAME}")
"""What may be a table in a subquery. It may be a column as well: then no table has its name."""


def asks_for_more(relation: Relation, snapshot: Snapshot) -> bool:
    """Whether the policies of a table may ask for headers."""
    return _policies_ask(relation, snapshot, {relation.oid})


def writes_run_more(relation: Relation, snapshot: Snapshot, events: Sequence[str]) -> bool:
    """Whether a write that is an INSERT or an UPDATE (``events``) may ask for headers, or fires triggers or rules."""
    if any(f" {event} " in trigger for trigger in relation.triggers for event in events):
        return True
    if any((each.inserts and "INSERT" in events) or (each.updates and "UPDATE" in events) for each in relation.runs_also):
        return True
    texts = [column.default or "" for column in relation.columns]  # what generates a column stands there too
    texts += [constraint.definition for constraint in relation.constraints if constraint.kind == "c"]
    return any(map(asks, texts)) or asks_for_more(relation, snapshot)


def _policies_ask(relation: Relation, snapshot: Snapshot, seen: set[int]) -> bool:
    return any(asks(text) or _leads_to_more(text, snapshot, seen) for text in relation.policies)


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
