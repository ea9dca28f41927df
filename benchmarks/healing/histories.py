"""Renames and removals of real histories as writes by callers who still use the old schema."""

from __future__ import annotations

import random
from collections.abc import Iterator

from benchmarks.drift import Entry, column_of, distinct, load, value_for
from benchmarks.healing.case import COLD, LINEAGE, Case
from benchmarks.healing.ddl import create, migrate, quoted
from benchmarks.matching.cases import seeded
from healing.core.match.layout import writable
from healing.core.types import Row


def cases(seed: int) -> Iterator[Case]:
    """Every distinct rename and clean removal twice, with history and without; table and label renames too."""
    events = load("renames")
    for number, event in enumerate(distinct([e for e in events if usable(e)])):
        name = f"{event['table'][:40]}__{number}"
        rng = seeded(event["id"], seed)
        match event["event"]:
            case "rename_column" | "remove_column":
                yield _column(event, f"{name}a", LINEAGE, rng)
                yield _column(event, f"{name}b", COLD, rng)
            case "rename_table":
                yield _table(event, number, LINEAGE, rng)
            case "enum_rename":
                yield from _label(event, f"{name}a", rng)


def usable(event: Entry) -> bool:
    """Whether it says enough to be played."""
    if not event["columns_after"]:
        return False
    if event["event"] == "remove_column":
        return (
            not event["replaced_by_hint"]
            and not event.get("likely_successor")
            and not event["same_file_added"]
            and _has(event, event["old"])
        )
    if event["event"] == "enum_rename":
        return True
    return event["event"] == "rename_table" or (event["event"] == "rename_column" and _has(event, event["old"]))


def _has(event: Entry, name: str) -> bool:
    return any(e["name"] == name for e in event["columns_before"]) and not any(e["name"] == name for e in event["columns_after"])


def value_of(entry: Entry, rng: random.Random) -> object:
    """A value that the described column takes."""
    allowed = entry.get("enum") or entry.get("enum_array") or entry.get("check_in") or entry.get("choices")
    return value_for(column_of(entry, 1), tuple(map(str, allowed)) if allowed else None, rng)


def required(entry: Entry) -> bool:
    """An insert must give it."""
    return not entry.get("nullable", True) and not entry.get("has_default") and not entry.get("generated")


def row_of(entries: list[Entry], asked: set[str], share: float, rng: random.Random) -> Row:
    """What a caller sends: what it must, what is asked for, and a share of the rest."""
    return {
        e["name"]: value_of(e, rng)
        for e in entries
        if e["name"] in asked or required(e) or (e["name"] != "id" and writable(column_of(e, 1)) and rng.random() < share)
    }


def _column(event: Entry, table: str, mode: str, rng: random.Random) -> Case:
    before, after, old, new = event["columns_before"], event["columns_after"], event["old"], event["new"]
    renamed = [(a, b) for a, b in event["same_file_renamed"]] + ([(old, new)] if new else [])
    steps = migrate(table, before, after, renamed)
    live = {e["name"]: e for e in after}
    moved = {a: b for a, b in renamed if a not in live and b in live}
    stays = [e for e in before if e["name"] in live or e["name"] in moved or e["name"] == old]
    row = row_of([e for e in stays if mode == LINEAGE or e["name"] in live or e["name"] == old], {old}, 0.7, rng)
    missing = [e for e in after if required(e) and e["name"] not in {moved.get(k, k) for k in row}]
    row |= {e["name"]: value_of(e, rng) for e in missing}
    intended = {moved.get(k, k): v for k, v in row.items()} if new else None
    kind = "rename" if new else "dropped"
    truths: tuple[dict[str, object], ...] = ({"op": "rename_column", "from": old, "to": new},) if new else ()
    ddl = (tuple(create(table, before)), (tuple(steps),)) if mode == LINEAGE else (tuple(create(table, after)), ())
    meant = intended if mode == LINEAGE else None
    return Case("renames", kind, mode, table, "POST", f"/rest/v1/{table}", {}, row, meant, truths, old, *ddl)


def _table(event: Entry, number: int, mode: str, rng: random.Random) -> Case:
    old, new = f"{event['old'][:40]}__{number}", f"{event['new'][:40]}__{number}"
    row = row_of(event["columns_after"], set(), 0.7, rng)
    steps = (f"ALTER TABLE {quoted(old)} RENAME TO {quoted(new)}",)
    truths: tuple[dict[str, object], ...] = ({"op": "rename_table", "from": old, "to": new},)
    return Case(
        "renames",
        "table",
        mode,
        new,
        "POST",
        f"/rest/v1/{old}",
        {},
        row,
        row,
        truths,
        "",
        tuple(create(old, event["columns_after"])),
        (steps,),
    )


def _label(event: Entry, table: str, rng: random.Random) -> Iterator[Case]:
    entry = next((e for e in event["columns_after"] if e["name"] == event["column"]), None)
    labels = [str(c) for c in (entry or {}).get("choices", ())]
    if entry is None or str(event["new"]) not in labels or str(event["old"]) in labels or len(set(labels)) < len(labels):
        return
    was = [str(event["old"]) if x == str(event["new"]) else x for x in labels]
    entries = [{**e, "enum": was, "type": "label"} if e is entry else e for e in event["columns_after"]]
    row = row_of(entries, {entry["name"]}, 0.7, rng) | {entry["name"]: str(event["old"])}
    step = f"ALTER TYPE {quoted(f'label_{table}')} RENAME VALUE '{event['old']}' TO '{event['new']}'"
    meant = {**row, entry["name"]: str(event["new"])}
    before = tuple(create(table, entries))
    yield Case("renames", "label", LINEAGE, table, "POST", f"/rest/v1/{table}", {}, row, meant, None, entry["name"], before, ((step,),))
