"""What happens to names over several migrations, made up on the tables of real histories: chains of renames, names that come back,
names that another column takes over. The caller still uses the first schema, or one on the way."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from benchmarks.drift import Entry, distinct, load
from benchmarks.healing.case import LINEAGE, Case
from benchmarks.healing.ddl import add_column, create, quoted
from benchmarks.healing.histories import row_of, usable
from benchmarks.matching.cases import seeded
from healing.core.types import Row

Step = tuple[str, ...]
PER_KIND = 80


class Scene:
    """One table as it was before: ``old`` is the column of the story, ``row`` what a caller of that time sends, ``free`` names that
    other histories use and this table never had."""

    def __init__(self, event: Entry, table: str, rng: random.Random, names: list[str]) -> None:
        self.table, self.entries, self.old = table, event["columns_before"], event["old"]
        known = {e["name"] for e in self.entries}
        self.free = rng.sample([name for name in names if name not in known], 3)
        self.row: Row = row_of(self.entries, {self.old}, 0.7, rng)
        self.others = [e for e in self.entries if e["name"] in self.row and e["name"] not in (self.old, "id")]
        self.entry = next(e for e in self.entries if e["name"] == self.old)

    def rename(self, old: str, new: str) -> str:
        """One rename."""
        return f"ALTER TABLE {quoted(self.table)} RENAME COLUMN {quoted(old)} TO {quoted(new)}"

    def under(self, **names: str) -> Row:
        """The caller's row with the column of the story under another name."""
        return {names.get("as_", key) if key == self.old else key: value for key, value in self.row.items()}

    def add(self, name: str) -> str:
        """A new column like the one of the story, which may stay empty."""
        entry = {**self.entry, "name": name, "nullable": True, "has_default": False, "generated": False}
        return f"ALTER TABLE {quoted(self.table)} ADD COLUMN {add_column(entry, self.table)}"


Story = tuple[tuple[Step, ...], Row, Row | None]
"""The migrations, the row as sent, and as meant; None: nobody can know, so it must not land."""


def chained(scene: Scene) -> Story:
    """Three renames; the caller knows the first name."""
    a, b, c = scene.free
    steps = ((scene.rename(scene.old, a),), (scene.rename(a, b),), (scene.rename(b, c),))
    return steps, scene.row, scene.under(as_=c)


def joined(scene: Scene) -> Story:
    """The caller joined on the way: it knows the second name."""
    a, b, _ = scene.free
    return ((scene.rename(scene.old, a),), (scene.rename(a, b),)), scene.under(as_=a), scene.under(as_=b)


def hurried(scene: Scene) -> Story:
    """Two renames that nobody saw apart."""
    a, b, _ = scene.free
    return ((scene.rename(scene.old, a), scene.rename(a, b)),), scene.row, scene.under(as_=b)


def returned(scene: Scene) -> Story:
    """Renamed and named back, while a caller followed."""
    a = scene.free[0]
    return ((scene.rename(scene.old, a),), (scene.rename(a, scene.old),)), scene.under(as_=a), scene.row


def kept_name(scene: Scene) -> Story:
    """Renamed and named back: who never followed needs nothing."""
    a = scene.free[0]
    return ((scene.rename(scene.old, a),), (scene.rename(a, scene.old),)), scene.row, scene.row


def retaken(scene: Scene) -> Story:
    """A new column takes the old name: nobody can tell which of the two a caller means."""
    return ((scene.rename(scene.old, scene.free[0]), scene.add(scene.old)),), scene.row, None


def inherited(scene: Scene) -> Story:
    """A column that was there takes the old name."""
    other = scene.others[0]["name"]
    return (
        (
            (scene.rename(scene.old, scene.free[0]),),
            (scene.rename(other, scene.old),),
        ),
        scene.row,
        None,
    )


def swapped(scene: Scene) -> Story:
    """Two columns change names."""
    other, spare = scene.others[0]["name"], scene.free[0]
    return ((scene.rename(scene.old, spare), scene.rename(other, scene.old), scene.rename(spare, other)),), scene.row, None


def replaced(scene: Scene) -> Story:
    """Dropped, and made anew under the same name: the name means one thing."""
    drop = f"ALTER TABLE {quoted(scene.table)} DROP COLUMN {quoted(scene.old)} CASCADE"
    return ((drop,), (scene.add(scene.old),)), scene.row, scene.row


STORIES: tuple[Callable[[Scene], Story], ...] = (chained, joined, hurried, returned, kept_name, retaken, inherited, swapped, replaced)
NEED_ANOTHER = (inherited, swapped)


def cases(seed: int) -> Iterator[Case]:
    """``PER_KIND`` tables for each story, drawn anew for each."""
    events = [e for e in distinct([e for e in load("renames") if e["event"] == "rename_column"]) if usable(e)]
    names = sorted({e["old"] for e in events} | {e["new"] for e in events})
    for story in STORIES:
        rng = seeded("chains", story.__name__, seed)
        for number, event in enumerate(rng.sample(events, min(PER_KIND, len(events)))):
            scene = Scene(event, f"{event['table'][:40]}__{story.__name__}{number}", rng, names)
            if story not in NEED_ANOTHER or scene.others:
                yield _case(story.__name__, scene, *story(scene))
    yield from _tables(events, seed)


def _case(kind: str, scene: Scene, steps: tuple[Step, ...], row: Row, intended: Row | None) -> Case:
    path, before = f"/rest/v1/{scene.table}", tuple(create(scene.table, scene.entries))
    return Case("names", kind, LINEAGE, scene.table, "POST", path, {}, row, intended, None, scene.old, before, steps)


def _tables(events: list[Entry], seed: int) -> Iterator[Case]:
    """A table that moved twice, and one put aside for a new table of its name, which then is the one that writes are for."""
    rng = seeded("tables", seed)
    for number, event in enumerate(rng.sample(events, min(PER_KIND, len(events)))):
        first, second, third = (f"{event['table'][:40]}__{place}_table{number}" for place in ("first", "second", "third"))
        row, made = row_of(event["columns_before"], set(), 0.7, rng), tuple(create(first, event["columns_before"]))
        steps: tuple[Step, ...] = ((_move(first, second),), (_move(second, third),))
        if number % 2:
            again = f"CREATE TABLE {quoted(first)} (LIKE {quoted(second)} INCLUDING ALL)"
            steps = ((_move(first, second), again),)
        kind, live = ("table retaken", first) if number % 2 else ("table chained", third)
        yield Case("names", kind, LINEAGE, live, "POST", f"/rest/v1/{first}", {}, row, row, None, "", made, steps)


def _move(old: str, new: str) -> str:
    return f"ALTER TABLE {quoted(old)} RENAME TO {quoted(new)}"
