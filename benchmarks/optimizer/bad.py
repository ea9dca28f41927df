"""Deliberately bad proposals, seeded: are they stopped in the backtest? ``python -m benchmarks.optimizer.bad [--runs 100]``.

Rules: a wrong column of the right type, a column of another type, a lost key, a value made up for rows that are fine. Each is held against
landed writes and healthy traffic of its table, as the proof pack does. Breaker settings: ones that open at a blip, or hardly ever; each is
replayed on recorded calls, and, if it were in force all the same, judged on what is recorded afterwards.
"""

from __future__ import annotations

import argparse
import random
import sys
from statistics import median
from typing import Any

from msgspec.structs import replace

from benchmarks.figures import figure
from breakers.core.types import Outcome, Settings
from healing.core import fixes
from healing.core.backtest import Case, crossed, replayed
from healing.core.healthy import felt
from healing.core.mend import Context
from healing.core.types import Healing, Operation, Rule, Statement
from healing.core.vet import compile_vet
from optimizer.core.breakers import Call, gain_bounds, losses, replay
from optimizer.core.pairs import Turns
from schema_monitor.core.lineage import Lineage
from schema_monitor.core.snapshot import Column, Relation, Scope, Snapshot
from schema_monitor.core.traffic import RecentShape

TEXTS = ("title", "summary", "body", "author", "language", "source", "category", "status")
KINDS = ("wrong column", "another type", "lost key", "made up value")


def rule_stopped(seed: int) -> tuple[bool, str]:
    """Whether a bad rule is stopped, and of which kind it was."""
    rng = random.Random(seed)
    relation, snapshot = _table(rng)
    kind, right = KINDS[seed % len(KINDS)], rng.choice(TEXTS)
    others = [name for name in TEXTS if name != right]
    op: fixes.Fix = {
        "wrong column": fixes.RenameColumn("headline", rng.choice(others)),
        "another type": fixes.RenameColumn("headline", "views"),
        "lost key": fixes.DropKey("headline"),
        "made up value": fixes.Fill(rng.choice(others), "unknown"),
    }[kind]  # fmt: skip
    signature = "unknown_column:headline" if not isinstance(op, fixes.Fill) else f"missing_value:{op.column}"
    rule = Rule("bad", "public", "articles", "", signature, fixes.dump((op,)))
    if fixes.typecheck((op,), relation, snapshot):
        return True, kind
    lineage = Lineage.start(snapshot)
    context = Context(relation, snapshot, lineage, compile_vet(relation, snapshot, lineage), Healing.APPROVED)
    spoken = crossed(rule, _landed(rng, right), lambda _: context).differ + felt(rule, _healthy(rng), lambda _: context, rng).touched
    kept = [Case(case.id, case.statement, signature) for case in _landed(rng, right)]
    return spoken > 0 or replayed(rule, kept, lambda _: context).healed == 0, kind


def _table(rng: random.Random) -> tuple[Relation, Snapshot]:
    names = rng.sample(TEXTS, len(TEXTS))
    columns = (
        Column(1, "id", "integer", "int4", nullable=False, identity="d"),
        Column(2, "views", "integer", "int4"),
        *(Column(n, name, "text", "text") for n, name in enumerate(names, 3)),
    )
    relation = Relation(1, "public", "articles", "r", columns)
    return relation, Snapshot(Scope("1", 1), 180000, {1: relation}, {}, {})


def _landed(rng: random.Random, right: str) -> list[Case]:
    """What was stored before: the key was another name of one column, in a few or in many writes."""
    done = (fixes.RenameColumn("headline", right),)
    return [
        Case(str(n), Statement(Operation.INSERT, "public", "articles", ({"headline": f"text {n}"},)), done=done)
        for n in range(rng.randrange(3, 60))
    ]


def _healthy(rng: random.Random) -> list[RecentShape]:
    """What callers send today: some of the columns."""
    shapes = []
    for n in range(rng.randrange(2, 6)):
        keys = tuple(sorted(rng.sample(TEXTS, rng.randrange(2, 6))))
        shapes.append(RecentShape("public", 1, "articles", "insert", keys, (), str(n), "anon", requests=rng.randrange(10, 2000)))
    return shapes


GOOD = Settings(failure_threshold=5, failure_rate=0.5, minimum_calls=10, timeout=3.0, timeout_cap=20.0, window=60.0)


def recorded(rng: random.Random, seconds: int) -> list[Call]:
    """A provider that fails one call in a hundred, blips now and then, and is away for a minute or two some times an hour."""
    calls, away, at = [], 0.0, 0.0
    while at < seconds:
        at += rng.expovariate(2.0)
        if at > away and rng.random() < 1 / 1500:
            away = at + rng.uniform(40, 150)
        failed = rng.random() < (0.95 if at < away else 0.03)
        calls.append(Call(at, Outcome.FAILURE if failed else Outcome.OK, rng.uniform(5, 30) if failed else rng.uniform(0.2, 1.5)))
    return calls


def breaker_stopped(seed: int) -> tuple[bool, bool, int]:
    """Whether a bad setting is stopped in the backtest; whether it is found in force; calls until then."""
    rng = random.Random(seed)
    bad: dict[str, Any] = {
        0: {"failure_threshold": 1, "failure_rate": 0.01, "minimum_calls": 2},
        1: {"timeout": 600.0, "timeout_cap": 3600.0},
        2: {"failure_threshold": 1_000},
    }[seed % 3]
    candidate = replace(GOOD, **bad)
    calls = recorded(rng, 6 * 3600)
    stopped = gain_bounds(replay(GOOD, calls), replay(candidate, calls))[0] <= 0
    turns, seen = Turns(), 0
    for _ in range(60):  # an hour of calls each, as they are recorded afterwards
        more = recorded(rng, 3600)
        old, new = replay(GOOD, more, 4), replay(candidate, more, 4)
        seen += len(more)
        turns = turns.see(*losses(old, new))
        if turns.found():
            return stopped, True, seen
    return stopped, False, seen


def main() -> int:
    """Prints how many were stopped."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.optimizer.bad", description=__doc__)
    parser.add_argument("--runs", type=int, default=100)
    runs = parser.parse_args().runs
    rules = [rule_stopped(seed) for seed in range(runs)]
    stopped = sum(found for found, _ in rules)
    figure("harmful rules stopped in the backtest", f"{stopped} of {runs}", "all", stopped == runs)
    print("   missed: " + (", ".join(sorted({kind for found, kind in rules if not found})) or "none"))
    held = [breaker_stopped(seed) for seed in range(runs)]
    in_backtest, in_force = sum(s for s, _, _ in held), sum(f for _, f, _ in held)
    figure("harmful breaker settings stopped in the backtest", f"{in_backtest} of {runs}", "all", in_backtest == runs)
    figure("the same, were they in force: found and taken back", f"{in_force} of {runs}", "all", in_force == runs)
    print("   not stopped or not found, by kind: " + str(sorted({seed % 3 for seed, (s, f, _) in enumerate(held) if not (s and f)})))
    print(f"   median {median(n for _, found, n in held if found):.0f} calls" if in_force else "   none found")
    return int(stopped < runs or in_backtest < runs)


if __name__ == "__main__":
    sys.exit(main())
