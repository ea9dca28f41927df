"""Writes and reads by old and new clients while the schema changes under them: ``python -m benchmarks.migration [--ddl 50] [--rate 400]``.

Renames (chains too, and names that another column takes over), new columns, wider and other types, and dropped columns are committed one
after the other while clients insert, update and read: some know the first names for good, some learn the names of now and then, one
knows them always. Every value says which field of which row it belongs to, so that one in a wrong column is seen. Afterwards every
answer is compared with the tables:

failed     an error although nothing that the request names was dropped or taken over
wrong      a value in a column that was not meant, or changed
lost       an insert or update that was answered with success and is not there, or one answered with an error that is
untold     a write that was refused and is not in quarantine
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from typing import Any

import psycopg
import uvloop
from msgspec import Struct, field

from benchmarks.figures import figure
from benchmarks.stage import Stage, arguments, stage_of
from benchmarks.wire import Answer, Connection, request

TABLES = ("stream_orders", "stream_people", "stream_visits")
STARTS = {"title": "varchar(80)", "note": "text", "city": "text", "amount": "integer", "price": "numeric(12,2)", "state": "text"}
WIDER = {"varchar(80)": "text", "integer": "bigint", "bigint": "text", "numeric(12,2)": "numeric(14,4)", "text": "varchar(200)"}
CLIENTS = 12
STEPS = ["rename"] * 26 + ["add"] * 10 + ["retype"] * 8 + ["drop"] * 4 + ["take over"] * 2


class Field(Struct, eq=False):
    """A column with its past. ``names`` the newest last; ``ended`` when it was dropped (monotonic seconds)."""

    table: str
    number: int
    names: list[str]
    type: str
    numeric: bool = False
    ended: float | None = None

    @property
    def name(self) -> str:
        return self.names[-1]


class Sent(Struct):
    """A write that was answered: what it meant to store where."""

    table: str
    mark: str
    values: dict[int, Any]
    landed: bool


class World(Struct):
    """What is true of the schema, and what became of the requests."""

    rng: random.Random
    fields: list[Field] = field(default_factory=list)
    taken: dict[tuple[str, str], float] = field(default_factory=dict)
    """names that a second field has or had, and since when."""
    sent: list[Sent] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    numbers: int = 0

    def live(self, table: str) -> list[Field]:
        return [each for each in self.fields if each.table == table and each.ended is None]

    def add(self, table: str, name: str, kind: str) -> Field:
        self.fields.append(Field(table, len(self.fields), [name], kind, kind.startswith(("integer", "numeric"))))
        return self.fields[-1]

    def fresh(self) -> int:
        self.numbers += 1
        return self.numbers


def main() -> int:
    """Prints what happened; 1 if anything failed, or landed where it should not."""
    parser = arguments(argparse.ArgumentParser(description="A stream of requests during migrations."))
    parser.add_argument("--ddl", type=int, default=50)
    parser.add_argument("--rate", type=int, default=400, help="requests a second")
    parser.add_argument("--pause", type=float, default=0.25, help="seconds between two DDL commands")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with stage_of(options) as stage:
        world = World(random.Random(options.seed))
        prepare(stage, world)
        began = time.monotonic()
        uvloop.run(run(stage, world, options.ddl, options.pause, options.rate))
        took = time.monotonic() - began
        wrong, lost = compare(stage, world)
    return report(world, options.ddl, took, wrong, lost)


def prepare(stage: Stage, world: World) -> None:
    """The tables under their first names."""
    for table in TABLES:
        own = [world.add(table, name, kind) for name, kind in STARTS.items()]
        columns = ", ".join(f"{each.name} {each.type}" for each in own)
        stage.sql(f"CREATE TABLE {table} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mark text NOT NULL UNIQUE, {columns})")
    stage.capture()
    time.sleep(1)


async def run(stage: Stage, world: World, ddl: int, pause: float, rate: int) -> None:
    """Clients send until the last DDL command has been committed for a moment."""
    over = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for number in range(CLIENTS):
            group.create_task(client(stage, world, number, CLIENTS / rate, over))
        await asyncio.sleep(1)
        await migrate(stage, world, ddl, pause)
        await asyncio.sleep(1)
        over.set()


# --- the migrations


async def migrate(stage: Stage, world: World, count: int, pause: float) -> None:
    """Commits ``count`` changes; the world knows of each right after its commit."""
    steps = (STEPS * (count // len(STEPS) + 1))[:count]
    world.rng.shuffle(steps)
    for step in steps:
        await asyncio.to_thread(change, stage, world, step)
        await asyncio.sleep(pause * world.rng.uniform(0.5, 1.5))


def change(stage: Stage, world: World, step: str) -> None:
    """One change of the schema. A dropped or taken-over name counts as such from before its commit on."""
    table = world.rng.choice(TABLES)
    live = world.live(table)
    chosen = world.rng.choice(live)
    if step == "drop" and len(live) > 4:
        chosen.ended = time.monotonic()
        stage.sql(f"ALTER TABLE {table} DROP COLUMN {chosen.name}")
    elif step == "add":
        name = f"extra_{world.fresh()}"
        stage.sql(f"ALTER TABLE {table} ADD COLUMN {name} text")
        world.add(table, name, "text")
    elif step == "retype":
        chosen.type = WIDER.get(chosen.type, "text")
        stage.sql(f"ALTER TABLE {table} ALTER COLUMN {chosen.name} TYPE {chosen.type}")
    else:
        rename(stage, world, chosen, take_over=step == "take over")
    world.counts[f"ddl {step}"] += 1


def rename(stage: Stage, world: World, chosen: Field, *, take_over: bool) -> None:
    """A new name; with ``take_over`` a new column gets the old one in the same moment."""
    table, old, new = chosen.table, chosen.name, f"{chosen.names[0]}_{world.fresh()}"
    command = f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}"
    if not take_over:
        stage.sql(command)
        chosen.names.append(new)
        return
    world.taken[table, old] = time.monotonic()
    stage.sql(f"BEGIN; {command}; ALTER TABLE {table} ADD COLUMN {old} text; COMMIT")
    chosen.names.append(new)


# --- the clients


async def client(stage: Stage, world: World, number: int, pace: float, over: asyncio.Event) -> None:
    """Sends one request after the other, at most one in ``pace`` seconds. The first third never learns a new name."""
    connection = await Connection.open(stage.base_url)
    known = names_now(world)
    learns = (None, 40, 1)[number % 3]
    due, turn = time.monotonic(), 0
    while not over.is_set():
        turn += 1
        if learns is not None and turn % learns == 0:
            known = names_now(world)
        due = max(due + pace, time.monotonic() - pace)
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        await one(stage, world, connection, known, f"{number}-{turn}")
    connection.close()


def names_now(world: World) -> dict[int, str]:
    """What a client that looks now knows: each living field's name."""
    return {each.number: each.name for each in world.fields if each.ended is None}


async def one(stage: Stage, world: World, connection: Connection, known: dict[int, str], mark: str) -> None:
    """An insert; sometimes an update or a read of what an earlier one stored."""
    rng, table = world.rng, world.rng.choice(TABLES)
    mine = [each for each in world.fields if each.table == table and each.number in known]
    chosen = rng.sample(mine, rng.randint(1, min(4, len(mine))))
    values = {each.number: value_of(each, world.fresh()) for each in chosen}
    kind, path, method = "insert", f"/rest/v1/{table}", "POST"
    body: dict[str, Any] = {known[number]: value for number, value in values.items()}
    target = rng.choice(world.sent) if world.sent and rng.random() < 0.3 else None
    if target is not None and target.landed and target.table == table:
        path += f"?mark=eq.{target.mark}"
        kind, method = ("update", "PATCH") if rng.random() < 0.5 else ("select", "GET")
        if kind == "select":
            path += "&select=mark," + ",".join(known[each.number] for each in chosen)
    else:
        target, body["mark"] = None, mark
    sent = b"" if kind == "select" else json.dumps(body).encode()
    answer = await connection.send(request(method, path, sent, {"apikey": stage.key}))
    judge(world, kind, answer, chosen, [known[each.number] for each in chosen])
    if kind == "insert":
        world.sent.append(Sent(table, mark, values, answer.status == 201))
    elif kind == "update" and target is not None and answer.status in (200, 204):
        target.values |= values


def value_of(each: Field, number: int) -> Any:
    """A value that says whose it is."""
    return each.number * 1_000_000 + number if each.numeric else f"{each.number}/{number}"


def judge(world: World, kind: str, answer: Answer, chosen: list[Field], names: list[str]) -> None:
    """Counts the answer by what it says, and whether it may."""
    healed = answer.header("mendgate-healed") is not None
    if answer.status < 300:
        world.counts[f"{kind} {'healed' if healed else 'as sent'}"] += 1
        return
    excused = any(each.ended is not None for each in chosen) or any((chosen[0].table, name) in world.taken for name in names)
    if not excused:
        world.counts["failed"] += 1
        world.failures.append(f"{kind} {names} of {chosen[0].table}: {answer.status} {answer.body[:300]!r}")
    elif kind != "select" and answer.header("mendgate-quarantine") is None:
        world.counts["untold"] += 1
        world.failures.append(f"{kind} {names} untold: {answer.status} {answer.body[:300]!r}")
    else:
        world.counts[f"{kind} refused"] += 1


# --- the comparison


def compare(stage: Stage, world: World) -> tuple[int, int]:
    """Values that are wrong, and rows that are missing or should not be there."""
    stored: dict[tuple[str, str], dict[str, Any]] = {}
    with psycopg.connect(stage.owner_url) as connection:
        for table in TABLES:
            for mark, row in connection.execute(f"SELECT mark, to_jsonb(t) - 'id' - 'mark' FROM {table} AS t"):  # type: ignore[arg-type]
                stored[table, mark] = row
    wrong = sum(
        differs(stored[each.table, each.mark], each, world) for each in world.sent if each.landed and (each.table, each.mark) in stored
    )
    lost = sum(((each.table, each.mark) in stored) is not each.landed for each in world.sent)
    return wrong, lost


def differs(row: dict[str, Any], sent: Sent, world: World) -> bool:
    """Whether a stored row is not exactly what was meant, in the columns as they are called now."""
    living = {each.number: each.name for each in world.fields if each.ended is None}
    meant = {living[number]: value for number, value in sent.values.items() if number in living}
    if all(plain(row.get(name)) == plain(meant.get(name)) for name in row):
        return False
    world.failures.append(f"wrong: {sent} stored as {row}")
    return True


def plain(value: Any) -> str | None:
    """Equal for 5, "5" and 5.00: the types changed on the way."""
    if value is None:
        return None
    return str(int(value)) if isinstance(value, float | int) else str(value).removesuffix(".0000").removesuffix(".00")


def report(world: World, ddl: int, took: float, wrong: int, lost: int) -> int:
    """The counts, and the figures."""
    answers = {name: count for name, count in sorted(world.counts.items()) if not name.startswith("ddl")}
    total = sum(answers.values())
    print(f"{total} requests in {took:.0f} s ({total / took:.0f} a second) by {CLIENTS} clients while {ddl} DDL commands ran")
    print("DDL:", ", ".join(f"{count} {name[4:]}" for name, count in sorted(world.counts.items()) if name.startswith("ddl")))
    for name, count in answers.items():
        print(f"  {name:20}{count:>8}")
    for each in world.failures[:10]:
        print("  !", each)
    failed, untold = world.counts["failed"], world.counts["untold"]
    figure(f"failed requests during {ddl} changes", str(failed), "0", failed == 0)
    figure("values in a wrong column", str(wrong), "0", wrong == 0)
    figure("answers that were not true", str(lost + untold), "0", lost + untold == 0)
    return int(bool(failed or wrong or lost or untold))


if __name__ == "__main__":
    sys.exit(main())
