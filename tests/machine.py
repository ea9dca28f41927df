"""A seeded machine over the whole gateway, against a plain model: what callers send, what people decide, what the database's owner does
and what befalls the process, in any order.

Columns have numbers in the model and names in the database, so the model knows what every name meant, and when. After each step the table
must hold exactly the model's rows, each value in the column that was meant, and the quarantine exactly the model's kept writes. What is
drawn never depends on what happened (there are no preconditions), so a seed says it all.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from typing import Any, NamedTuple

import httpx
import psycopg
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from psycopg.rows import dict_row

from tests.acceptance.console import Console
from tests.gateway_process import Gateway

numbers = itertools.count(1)
PATIENCE = 300.0
"""Seconds for one answer; only there to end a hang. (After a restart the control plane is imported before it answers.)"""
ids, which, value = st.integers(1, 5), st.integers(0, 99), st.integers(0, 10**6)
unknown = st.sampled_from(["zeta", "omega"])
WAITING = """SELECT id::text, state, last_error FROM healing_quarantineitem WHERE "table" = %s AND state <> 'discarded'"""


class Field(NamedTuple):
    """A column: its number, its type, every name it had (the newest last), whether it was dropped."""

    number: int
    type: str
    names: list[str]
    dropped: list[bool]

    @property
    def live(self) -> bool:
        return not self.dropped

    @property
    def name(self) -> str:
        return self.names[-1]


class Site(NamedTuple):
    """What a machine runs on; shared by all its runs."""

    gateway: Gateway
    console: Console
    target: psycopg.Connection[dict[str, Any]]
    control: psycopg.Connection[dict[str, Any]]
    counts: Counter[str]
    person: str

    @classmethod
    def of(cls, gateway: Gateway, console: Console, person: str) -> Site:
        """On a running gateway; ``person`` decides at the console."""
        target, control = (psycopg.connect(url, autocommit=True, row_factory=dict_row) for url in (gateway.owner_url, gateway.control_url))
        return cls(gateway, console, target, control, Counter(), person)

    def close(self) -> None:
        """Hangs up at the databases."""
        self.target.close()
        self.control.close()


class Machine(RuleBasedStateMachine):
    """One run on a table of its own. ``site`` is set by whoever runs it."""

    site: Site

    def __init__(self) -> None:
        super().__init__()
        self.table = f"things_{next(numbers)}"
        self.fields: list[Field] = []
        self.rows: dict[int, dict[int, Any]] = {}
        self.kept: dict[str, tuple[int, str, dict[int, Any], Any]] = {}
        """by id of the quarantine: id of the row, its unknown key ('' where a column was dropped), its known values, the unknown's."""
        self.meant: dict[str, int] = {}
        """what people said an unknown key means: the number of a field."""
        self.client = self.site.gateway.client()
        self.client.timeout = httpx.Timeout(PATIENCE)

    @initialize()
    def begin(self) -> None:
        self.site.target.execute(f"CREATE TABLE {self.table} (id int PRIMARY KEY)")
        for kind in ("text", "text", "int"):
            self.add(kind)

    def teardown(self) -> None:
        self.site.control.execute("UPDATE healing_quarantineitem SET state = 'discarded' WHERE \"table\" = %s", [self.table])
        self.site.target.execute(f"DROP TABLE IF EXISTS {self.table}")
        self.client.close()
        self.site.counts["runs"] += 1

    # --- what callers send

    @rule(key=ids, first=which, second=which, old=which, n=value)
    def insert(self, key: int, first: int, second: int, old: int, n: int) -> None:
        """Under names of now, former names, and names of dropped columns."""
        sent, meant = self.values(first, second, old, n)
        self.landed_or_kept(self.send("POST", "", {"id": key, **sent}), key, meant)

    @rule(key=ids, name=unknown, first=which, n=value)
    def insert_unknown(self, key: int, name: str, first: int, n: int) -> None:
        """With a key that is no column and never was."""
        sent, meant = self.values(first, first, 0, n)
        answer = self.send("POST", "", {"id": key, name: f"u{n}", **sent})
        field = self.field_meant(name)
        if answer.status_code == 201:
            assert field is not None, answer.text
            assert field.number not in meant, "two values for one column, and it was written"
            assert "mendgate-healed" in answer.headers
            self.landed(key, {**meant, field.number: f"u{n}"})
        elif "mendgate-quarantine" in answer.headers:
            self.kept[answer.headers["mendgate-quarantine"]] = (key, name, meant, f"u{n}")
        else:
            assert (answer.status_code, answer.json()["code"]) == (409, "23505"), answer.text
            assert field is not None and key in self.rows

    @rule(key=ids, first=which, old=which, n=value)
    def update(self, key: int, first: int, old: int, n: int) -> None:
        sent, meant = self.values(first, first, old, n, dropped=False)
        answer = self.send("PATCH", f"?id=eq.{key}", sent)
        assert answer.status_code == 204, answer.text
        if key in self.rows:
            self.rows[key] |= meant

    @rule(key=ids, first=which, old=which, n=value)
    def upsert(self, key: int, first: int, old: int, n: int) -> None:
        sent, meant = self.values(first, first, old, n, dropped=False)
        answer = self.send("POST", "", {"id": key, **sent}, prefer="resolution=merge-duplicates")
        assert answer.status_code in (200, 201), answer.text
        self.rows[key] = {**self.rows.get(key, {}), **meant}

    @rule(key=ids)
    def delete(self, key: int) -> None:
        assert self.send("DELETE", f"?id=eq.{key}").status_code == 204
        self.rows.pop(key, None)

    @rule(first=which, old=which)
    def select(self, first: int, old: int) -> None:
        """Comes back under the name that was asked for."""
        field = self.pick(first)
        name = field.names[old % len(field.names)]
        answer = self.send("GET", f"?select=id,{name}&order=id&{name}=not.is.null")
        assert answer.status_code == 200, answer.text
        there = [{"id": key, name: row[field.number]} for key, row in sorted(self.rows.items()) if row.get(field.number) is not None]
        assert answer.json() == there

    @rule(key=ids, first=which, old=which, n=value)
    def insert_twice_under_one_key(self, key: int, first: int, old: int, n: int) -> None:
        sent, meant = self.values(first, first, old, n, dropped=False)
        named = {"idempotency-key": f"{self.table}-{next(numbers)}", "prefer": "return=representation"}
        one, again = (self.send("POST", "", {"id": key, **sent}, **named) for _ in range(2))
        assert (one.status_code, one.content) == (again.status_code, again.content)
        self.landed_or_kept(one, key, meant)

    @rule(key=ids, other=ids, first=which, old=which, n=value)
    def transaction(self, key: int, other: int, first: int, old: int, n: int) -> None:
        """Two rows: both or none."""
        sent, meant = self.values(first, first, old, n, dropped=False)
        operations = [{"op": "insert", "table": self.table, "rows": [{"id": each, **sent}]} for each in (key, other)]
        answer = self.told("transaction", self.client.post("/api/v1/transactions", json={"operations": operations}))
        if key == other or {key, other} & self.rows.keys():
            assert (answer.status_code, answer.json()["code"]) == (409, "23505"), answer.text
        else:
            assert answer.status_code == 200, answer.text
            self.rows |= {key: dict(meant), other: dict(meant)}

    # --- what the database's owner does

    @rule(kind=st.sampled_from(["text", "int"]))
    def add(self, kind: str) -> None:
        field = Field(len(self.fields), kind, [f"f{len(self.fields)}"], [])
        self.ddl("add", f"ADD COLUMN {field.name} {kind}")
        self.fields.append(field)

    @rule(first=which)
    def rename(self, first: int) -> None:
        field = self.pick(first)
        new = f"f{field.number}_{len(field.names)}"
        self.ddl("rename", f"RENAME COLUMN {field.name} TO {new}")
        field.names.append(new)

    @rule(first=which)
    def drop(self, first: int) -> None:
        field = self.pick(first)
        if sum(each.live for each in self.fields) <= 2:
            return
        self.ddl("drop", f"DROP COLUMN {field.name}")
        field.dropped.append(True)
        for row in self.rows.values():
            row.pop(field.number, None)

    @rule(first=which)
    def widen(self, first: int) -> None:
        field = self.pick(first)
        self.ddl("retype", f"ALTER COLUMN {field.name} TYPE {'bigint' if field.type == 'int' else 'varchar(500)'}")

    # --- what people decide

    @rule(first=which, pick=which)
    def approve(self, first: int, pick: int) -> None:
        """An unknown key means this column, says a person."""
        items = [(item, name) for item, (_, name, _, _) in self.kept.items() if name and name not in self.meant]
        free = [each for each in self.fields if each.live and each.type == "text"]
        if not items or not free:
            return
        item, name = items[pick % len(items)]
        field = free[first % len(free)]
        fix = json.dumps([{"op": "rename_column", "from": name, "to": field.name}])
        self.site.console.run("capture_schema")  # as the watcher would
        person = ("--user", self.site.person)
        proposal = self.decided("propose", "--quarantine", item, "--fix", fix, *person)
        if not proposal or not self.decided("approve", proposal, *person):
            return
        self.meant[name] = field.number
        self.replay()

    @rule(pick=which)
    def reject(self, pick: int) -> None:
        """A proposal of the matcher, if there is one: nothing lands by it."""
        if not self.kept:
            return
        item = list(self.kept)[pick % len(self.kept)]
        found = self.client.get(f"/api/v1/quarantine/{item}").raise_for_status().json()["proposals"]
        mine = [each for each in found if each["source"] == "matcher"]
        if mine:
            self.decided("reject", mine[0]["id"], "--user", self.site.person, "--why", "not that")

    @rule()
    def replay(self) -> None:
        """All that waits: what lands, lands where a person meant it, and never over a row that is there."""
        if not self.kept:
            return
        self.site.console.run("replay", "--quarantine", *self.kept, "--wait")
        states = {item["id"]: item["state"] for item in self.site.control.execute(WAITING, [self.table])}
        for item in [item for item in self.kept if states[item] == "replayed"]:
            key, name, meant, extra = self.kept.pop(item)
            field = self.field_meant(name)
            assert name == "" or field is not None, f"{name} landed, and nobody said what it means"
            assert key not in self.rows, f"a replay wrote over row {key}"
            live = {number: each for number, each in meant.items() if self.fields[number].live}
            assert len(live) == len(meant), "a value of a dropped column was left out in silence"
            self.rows[key] = {**live, **({field.number: extra} if field else {})}
            self.site.counts["replayed"] += 1

    # --- what befalls the process

    @rule(hard=st.booleans(), chance=st.integers(0, 3))
    def restart(self, hard: bool, chance: int) -> None:
        if chance == 3:
            (self.site.gateway.kill9 if hard else self.site.gateway.stop)()
            self.site.gateway.start()
            self.site.counts["restart"] += 1

    # --- the comparison

    @invariant()
    def the_table_holds_what_the_model_holds(self) -> None:
        names = {field.number: field.name for field in self.fields if field.live}
        stored = {row.pop("id"): row for row in self.site.target.execute(f"SELECT * FROM {self.table}")} if self.fields else {}
        meant = {key: {name: row.get(number) for number, name in names.items()} for key, row in self.rows.items()}
        assert stored == meant

    @invariant()
    def the_quarantine_holds_what_the_model_holds(self) -> None:
        found = self.site.control.execute(WAITING, [self.table])
        assert {item["id"] for item in found if item["state"] != "replayed"} == set(self.kept)

    # --- in between

    def decided(self, *words: str) -> str:
        """What a command says; '' where it refuses (it was decided before, the column is gone)."""
        try:
            said = self.site.console.run(*words).strip()
        except AssertionError as error:
            if "healing.refusals" not in str(error):
                raise
            self.site.counts[f"{words[0]} refused"] += 1
            return ""
        self.site.counts[words[0]] += 1
        return said or "done"

    def pick(self, number: int) -> Field:
        """A living field."""
        live = [field for field in self.fields if field.live]
        return live[number % len(live)]

    def values(self, first: int, second: int, old: int, n: int, *, dropped: bool = True) -> tuple[dict[str, Any], dict[int, Any]]:
        """A payload for one or two columns, each under one of its names, and what it means by number."""
        choice = [field for field in self.fields if dropped or field.live]
        chosen = {each.number: each for each in (choice[first % len(choice)], choice[second % len(choice)])}.values()
        if not dropped:
            chosen = [self.pick(first)]
        sent, meant = {}, {}
        for field in chosen:
            number = n + field.number
            sent[field.names[old % len(field.names)]] = (str(number) if old % 2 else number) if field.type == "int" else f"t{number}"
            meant[field.number] = number if field.type == "int" else f"t{number}"
        return sent, meant

    def field_meant(self, name: str) -> Field | None:
        """What people said of an unknown key, while that column lives."""
        number = self.meant.get(name)
        return self.fields[number] if number is not None and self.fields[number].live else None

    def landed_or_kept(self, answer: httpx.Response, key: int, meant: dict[int, Any]) -> None:
        if not all(self.fields[number].live for number in meant):
            assert answer.status_code == 400, answer.text
            self.kept[answer.headers["mendgate-quarantine"]] = (key, "", meant, None)
        elif key in self.rows:
            assert (answer.status_code, answer.json()["code"]) == (409, "23505"), answer.text
        else:
            assert answer.status_code == 201, answer.text
            self.rows[key] = dict(meant)

    def landed(self, key: int, meant: dict[int, Any]) -> None:
        assert key not in self.rows
        self.rows[key] = meant

    def send(self, method: str, query: str, row: Any = None, **headers: str) -> httpx.Response:
        said = self.client.request(method, f"/rest/v1/{self.table}{query}", json=row, headers=headers)
        return self.told(method, said)

    def told(self, what: str, answer: httpx.Response) -> httpx.Response:
        self.site.counts[what] += 1
        assert answer.status_code < 500, answer.text
        return answer

    def ddl(self, what: str, change: str) -> None:
        self.site.target.execute(f"ALTER TABLE {self.table} {change}")
        self.site.counts[what] += 1
