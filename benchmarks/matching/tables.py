"""Every table of the drift data, as it was last seen."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.drift import Entry, load


def tables() -> Iterator[tuple[str, str, list[Entry]]]:
    """Project, name and columns of every table, once each."""
    last = {(e["project"], e["table"]): e["columns_after"] for e in load("renames")}
    last |= {(c["project"], c["table"]): c["columns"] for name in ("healthy", "wild") for c in load(name) if c["columns"]}
    yield from ((project, table, entries) for (project, table), entries in last.items())
