"""What people have set of breakers, read by processes that have no Django: at start, and when Postgres says that it changed.

Valkey tells it too; here a process knows it even while Valkey is away.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any

import msgspec

from breakers import registry
from breakers.core.types import Settings, State

SQL = """
SELECT c.name, c.version, v.settings::text AS settings,
    CASE WHEN c.applied_version < c.version THEN v.override ELSE c.override END AS override,
    CASE WHEN c.applied_version < c.version THEN v.why ELSE c.override_why END AS why
FROM breakers_breakerconfig c
JOIN breakers_breakerconfigversion v ON v.config_id = c.id AND v.version = c.version
WHERE c.version > 1"""


made: set[str] = set()
"""Breakers of this process that no code had asked for when they were set: what they declare is nobody's wish."""


def put_in_force(records: Iterable[Mapping[str, Any]]) -> int:
    """Applies what this process does not know yet. Returns how many that were."""
    known = versions()
    new = [record for record in records if known.get(record["name"], 0) < record["version"]]
    for record in new:
        settings = msgspec.convert({**msgspec.json.decode(record["settings"]), "version": record["version"]}, Settings)
        override = State(record["override"]) if record["override"] else None
        apply(record["name"], settings, override, record["why"], known)
    return len(new)


def versions() -> dict[str, int]:
    """The breakers of this process, each with the version that is in force."""
    return {view.name: view.config_version for view in registry.default.views()}


def apply(name: str, settings: Settings, override: State | None, why: str, known: Container[str]) -> None:
    """In this process at once, and through Valkey everywhere. ``known``: the breakers that this process has."""
    if name not in known:
        made.add(name)
    registry.default.apply(name, settings, override, why or "A person decided.")
