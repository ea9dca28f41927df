"""One scan of a folder: what its functions call, what is wrong, in what order to move them."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from healing.core.sources.calls import FileCalls
from healing.core.sources.cover import Function, Totals, functions, totals
from healing.core.sources.findings import Finding
from healing.core.sources.order import Step, Traffic, by_tables, order
from healing.core.sources.writes import World
from healing.scan.folder import Folder
from healing.scan.judge import judge
from healing.scan.mending import difference
from schema_monitor.core.lineage import Lineage
from schema_monitor.core.snapshot import Scope, Snapshot


class BadFolder(Exception):
    """There is nothing to scan: the message says why and what to do."""


class Scan(Struct, frozen=True):
    """Everything that was found out. ``epoch``: the schema version that was judged by; 0 = none."""

    root: str
    epoch: int
    files: tuple[FileCalls, ...]
    functions: tuple[Function, ...]
    findings: tuple[Finding, ...]
    order: tuple[Step, ...]
    totals: Totals


def scan(
    root: Path,
    world: World | None,
    epoch: int = 0,
    traffic: Mapping[str, Traffic] | None = None,
    schema: str = "public",
    requests: Mapping[str, tuple[int, int]] | None = None,
) -> Scan:
    """Reads the folder; judges it where a schema is given. ``requests``: what is known of tables, where ``traffic`` says nothing of a
    function. Raises ``BadFolder``."""
    check(root)
    folder = Folder(root)
    files = folder.calls()
    if not files:
        raise BadFolder(f"{root} holds no TypeScript or JavaScript. Give the folder that holds one folder a function: supabase/functions")
    findings = _shown(judge(files, world, schema), folder) if world is not None else _unread(files)
    found = functions(files, findings)
    known = {**by_tables(found, requests or {}), **(traffic or {})}
    steps = order(found, known, leaning(world.snapshot) if world is not None else {})
    return Scan(str(root), epoch, files, found, findings, steps, totals(found, files, findings))


def _shown(findings: list[Finding], folder: Folder) -> tuple[Finding, ...]:
    """With the changes of the source, where a fix can be written down."""
    return tuple(
        replace(found, diff=difference(found, folder.units[found.place.file])) if found.ops and found.place.file in folder.units else found
        for found in findings
    )


def check(root: Path) -> None:
    """Raises ``BadFolder`` where the folder is none."""
    if not root.exists():
        raise BadFolder(f"There is no folder {root}. Give the one that holds your edge functions, for example supabase/functions")
    if not root.is_dir():
        raise BadFolder(f"{root} is a file. Give the folder that holds it, for example supabase/functions")


def leaning(snapshot: Snapshot) -> dict[str, int]:
    """How many foreign keys lead to each table."""
    leads = Counter(key.references for relation in snapshot.relations.values() for key in relation.constraints if key.kind == "f")
    return {snapshot.relations[oid].name: count for oid, count in leads.items() if oid in snapshot.relations}


def read_traffic(path: Path) -> dict[str, Traffic]:
    """``function,calls[,failures]`` as CSV, or ``{"function": {"calls": 1, "failures": 0}}`` as JSON. Raises ``BadFolder``."""
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            return {name: Traffic(int(row["calls"]), int(row.get("failures", 0))) for name, row in json.loads(text).items()}
        rows = csv.DictReader(text.splitlines())
        if not {"function", "calls"} <= set(rows.fieldnames or ()):
            raise ValueError("its first line names no columns function and calls")
        return {row["function"]: Traffic(int(row["calls"]), int(row.get("failures") or 0)) for row in rows}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        wanted = 'CSV with the columns function,calls,failures or JSON {"name": {"calls": 1, "failures": 0}}'
        raise BadFolder(f"{path} cannot be read as traffic ({error}). It is {wanted}.") from error


def _unread(files: tuple[FileCalls, ...]) -> tuple[Finding, ...]:
    """Without a schema only what cannot be read is told."""
    bare = tuple(FileCalls(file.path, unread=file.unread) for file in files)
    return tuple(judge(bare, _blind()))


def _blind() -> World:
    scope = Scope("", 0)
    return World(Snapshot(scope, 0, {}, {}, {}), Lineage(scope), {})
