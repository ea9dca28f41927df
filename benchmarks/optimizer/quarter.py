"""A quarter with the ring closed: ``python -m benchmarks.optimizer.quarter [--weeks 13] [--causes 12] [--new 4] [--wrong 0.15]``.

A real gateway, its workers and databases; writes of real applications that do not fit (the wild corpus, and names that real histories have
renamed since, which nobody here saw happen), each cause coming back week after week with other values; a stub that speaks the AI's
protocol and is wrong in a known share of its answers. At the end of each week (the optimizer's clock jumps by seven days) a run looks at
everything, and a reviewer who knows the truth decides what is open. Causes that have no right answer are sent, too: nothing of them may
land.

Every stored row is compared with what was meant. The curve is written to ``docs/optimizer-quarter.svg`` (``--picture`` elsewhere).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
from msgspec import Struct
from psycopg.rows import tuple_row

from benchmarks.figures import figure
from benchmarks.healing import histories
from benchmarks.healing.applications import wild
from benchmarks.healing.case import COLD, Case
from benchmarks.healing.ddl import quoted
from benchmarks.healing.run import ENCODER, _as_stored
from benchmarks.optimizer.curve import draw
from benchmarks.stage import ROOT, Stage
from tests.integration.assist_rows import ScriptedModel, scripted_model

AT_ONCE = 8
PATIENCE = 90.0
VALUES = 12
"""rows of a cause with other values; then they come again."""


class Cause(Struct):
    """One cause: its table, its truth (an op; None: there is none), and a case of it for each write."""

    table: str
    truth: dict[str, Any] | None
    cases: list[Case]
    sent: int = 0
    intended: list[dict[str, Any]] = []


class Week(Struct):
    """What a week brought. ``fixes`` by who found them; ``decisions`` of the reviewer."""

    number: int
    answerable: int = 0
    landed: int = 0
    by_ai: int = 0
    fixes: int = 0
    decisions: int = 0
    asked: int = 0


def causes() -> list[Cause]:
    """Insert causes whose truth is sure: renames, labels, and those that have no right answer. Each with a dozen rows of other values."""
    found: list[Cause] = []
    for same in zip(*(_cases(seed) for seed in range(VALUES)), strict=True):
        first = same[0]
        if first.method != "POST" or first.headers or first.truths is None:
            continue
        truth = dict(first.truths[0]) if first.truths else None
        if truth is None or truth["op"] in ("rename_column", "map_value"):
            found.append(Cause(first.table, truth, list(same)))
    return found


def _cases(seed: int) -> list[Case]:
    """Calls of applications that do not fit, and calls under names that real histories have since renamed or dropped."""
    return [*wild(seed), *(case for case in histories.cases(seed) if case.mode == COLD)]


def meant(cause: Cause, case: Case) -> dict[str, Any]:
    """The row as its sender meant it."""
    assert cause.truth is not None
    if cause.truth["op"] == "rename_column":
        return {(cause.truth["to"] if key == cause.truth["from"] else key): value for key, value in case.row.items()}
    return {**case.row, cause.truth["column"]: cause.truth["to"]}


def fits(connection: psycopg.Connection[Any], cause: Cause) -> bool:
    """Whether the meant rows land at home: what the data leaves out (triggers, parents) must not be counted against us."""
    for case in cause.cases if cause.truth is not None else ():
        names = ", ".join(map(quoted, meant(cause, case)))
        text = ENCODER.encode(meant(cause, case)).decode()
        table = quoted(cause.table)
        try:
            with connection.transaction(force_rollback=True):
                source = f"(SELECT {names} FROM jsonb_populate_record(NULL::{table}, %s::jsonb))"
                connection.execute(f"INSERT INTO {table} ({names}) {source}", (text,))  # type: ignore[call-overload]
        except psycopg.Error:
            return False
    return True


class Teller:
    """The stub's knowledge: it finds the table in the facts, and says the truth, or in a known share of its answers something else."""

    def __init__(self, wrong: float, seed: int) -> None:
        self.truths: dict[str, dict[str, Any] | None] = {}
        self._wrong, self._rng = wrong, random.Random(seed)

    def __call__(self, body: dict[str, Any]) -> Any:
        text = body["messages"][-1]["content"]
        table = next((name for name in self.truths if f'"{name}"' in text), "")
        form = body["response_format"]["json_schema"]["schema"]["properties"]
        return {name: self._one(choices["anyOf"], self.truths.get(table)) for name, choices in form.items()}

    def _one(self, choices: Sequence[dict[str, Any]], truth: dict[str, Any] | None) -> dict[str, Any]:
        said = [op for choice in choices for op in _ops(choice)]
        right = [op for op in said if truth is not None and op["op"] == truth["op"] and op.get("to") == truth["to"]]
        other = [op for op in said if op not in right and op["op"] != "none"]
        if other and self._rng.random() < self._wrong:
            return self._rng.choice(other)
        return right[0] if right else {"op": "none"}


def _ops(choice: dict[str, Any]) -> list[dict[str, Any]]:
    """Every op that a form admits."""
    ops: list[dict[str, Any]] = [{}]
    for name, field in choice["properties"].items():
        ops = [{**op, name: value} for op in ops for value in field["enum"]]
    return ops


async def send(stage: Stage, batch: Sequence[tuple[Cause, Case]]) -> int:
    """Sends writes, a few at a time; returns how many were answered by 5xx."""
    gate = asyncio.Semaphore(AT_ONCE)
    async with stage.client(limits=httpx.Limits(max_connections=AT_ONCE)) as client:

        async def one(case: Case) -> int:
            headers = {"content-type": "application/json", "prefer": "quarantine=accept"}
            async with gate:
                answer = await client.request(case.method, case.path, content=ENCODER.encode(case.row), headers=headers)
            return answer.status_code >= 500

        return sum(await asyncio.gather(*(one(case) for _, case in batch)))


class Office:
    """The control plane of the stage, in this process: the optimizer with its own clock, and the reviewer."""

    def __init__(self, stage: Stage) -> None:
        os.environ.update({k: v for k, v in stage.environment.items() if k in ("MENDGATE_HOME", "HOST", "PORT", "AI_BASE_URL", "AI_MODEL")})
        os.environ["DJANGO_SETTINGS_MODULE"] = "resilience_site.settings"
        os.chdir(ROOT)
        import django

        django.setup()
        from django.contrib.auth.models import User

        self.user = User.objects.create_superuser("reviewer")

    def optimize(self, now: Any) -> None:
        """The week's run."""
        from optimizer import runs

        asked, _ = runs.ask("all", "schedule", rings=False)
        if (claimed := runs.claim(asked)) is not None:
            ended = runs.carry_out(claimed, now=now)
            broken = {step: said for step, said in ended.done.items() if said.startswith("broke")}
            assert not broken, broken

    def review(self, causes: Sequence[Cause]) -> int:
        """Decides every open proposal that the queue puts first, and its successors; returns how many decisions that took."""
        from healing import approval
        from healing.models import Proposal
        from healing.refusals import Refused

        truths, made = {cause.table: cause.truth for cause in causes}, 0
        for _ in range(4):
            best: dict[tuple[str, str], Proposal] = {}
            for proposal in Proposal.objects.filter(state="open", table__in=truths).order_by("probability"):
                best[proposal.table, proposal.signature] = proposal
            for proposal in best.values():
                made += 1
                try:
                    if _is(proposal.fix, truths[proposal.table]):
                        approval.approve(proposal, self.user, "right")
                    else:
                        approval.reject(proposal, self.user, "not what was meant")
                except Refused as error:
                    print(f"   refused: {proposal}: {error}", flush=True)
        return made

    def settled(self) -> None:
        """Waits until the AI tier has nothing due and nothing that is approved waits for its replay."""
        from django.db import connection

        ends = time.monotonic() + PATIENCE
        while time.monotonic() < ends:
            with connection.cursor() as cursor:
                cursor.execute(_BUSY)
                busy = cursor.fetchone()
            if not any(busy):
                return
            time.sleep(0.5)
        print(f"   still busy: {busy}", flush=True)

    def tell(self) -> None:
        """What became of askings, proposals of the optimizer, and what still waits."""
        from django.db import connection

        with connection.cursor() as cursor:
            for query in _TELL:
                cursor.execute(query)
                for row in cursor.fetchall():
                    print("   " + " · ".join(str(each)[:160] for each in row), flush=True)

    def counts(self, week: Week, since: Any) -> Any:
        """Fixes by who found them, since the last count; returns the moment of this one."""
        from django.db import connection

        from healing import receipt_copies

        while receipt_copies.copy_all():
            pass
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            (now,) = cursor.fetchone()
            cursor.execute(_FIXES, [since, now])
            week.by_ai, week.fixes = cursor.fetchone()
            cursor.execute("SELECT count(*) FROM healing_assistrun WHERE asked AND created_at > %s", [since])
            (week.asked,) = cursor.fetchone()
        return now


_BUSY = """SELECT (SELECT count(*) FROM healing_assistrun WHERE state <> 'done' AND due_at < now() + interval '5 s'),
    (SELECT count(*) FROM healing_quarantineitem q WHERE q.state IN ('waiting', 'replaying') AND q.automatic AND (q.assist_id IS NOT NULL
        OR EXISTS (SELECT FROM healing_rule r WHERE r.state = 'active' AND r."table" = q."table" AND r.signature = q.signature)))"""
_TELL = (
    "SELECT 'askings', verdict, left(why, 120), count(*) FROM healing_assistrun GROUP BY 2, 3 ORDER BY 4 DESC LIMIT 12",
    "SELECT 'optimizer', kind, state, count(*) FROM optimizer_proposal GROUP BY 2, 3 ORDER BY 2",
    """SELECT 'waits', "table", signature, state, count(*), min(error ->> 'message'), min(last_error ->> 'message')
        FROM healing_quarantineitem WHERE state <> 'replayed' GROUP BY 2, 3, 4 ORDER BY 5 DESC LIMIT 20""",
)
_FIXES = """SELECT count(*) FILTER (WHERE fixes::text LIKE '%%"assist"%%'), count(*) FROM healing_receipt
    WHERE at > %s AND at <= %s AND outcome IN ('committed', 'replayed') AND fixes <> '[]'"""


def _is(fix: Sequence[dict[str, Any]], truth: dict[str, Any] | None) -> bool:
    """Whether a fix is the truth and nothing else."""
    return truth is not None and len(fix) == 1 and all(fix[0].get(name) == value for name, value in truth.items())


def tally(stage: Stage, causes: Sequence[Cause]) -> tuple[int, int, list[str]]:
    """Over all causes: rows stored as meant, rows that nobody meant, and those in words."""
    right, wrong, said = 0, 0, list[str]()
    with psycopg.connect(stage.owner_url, autocommit=True, row_factory=tuple_row) as connection:
        for cause in causes:
            stored = [row for (row,) in connection.execute(f"SELECT to_jsonb(t) FROM {quoted(cause.table)} t")]  # type: ignore[call-overload]
            left = [m for row in cause.intended if (m := _as_stored(connection, cause.table, row)) is not None]
            for row in stored:
                match = next((m for m in left if all(row.get(k) == v for k, v in m.items())), None)
                if match is None:
                    wrong += 1
                    said.append(f"{cause.table}: {row}"[:300])
                else:
                    left.remove(match)
                    right += 1
    return right, wrong, said


def play(stage: Stage, model: ScriptedModel, options: argparse.Namespace) -> tuple[list[Week], int, list[str]]:
    """The weeks, one after the other."""
    rng = random.Random(options.seed)
    total = options.causes + options.new * (options.weeks - 1)
    found = causes()
    stage.sql(*(statement for cause in found for statement in cause.cases[0].before))
    with psycopg.connect(stage.owner_url, autocommit=True, row_factory=tuple_row) as connection:
        found = [cause for cause in found if fits(connection, cause)]
    rng.shuffle(found)
    silent = [cause for cause in found if cause.truth is None][: total // 6]
    found = [cause for cause in found if cause.truth is not None][: total - len(silent)] + silent
    rng.shuffle(found)
    stage.sql("GRANT ALL ON ALL TABLES IN SCHEMA public TO service_role", "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO service_role")
    stage.capture()
    stage.manage("set_policy", "--healing", "assisted")
    teller = Teller(options.wrong, options.seed)
    teller.truths = {cause.table: cause.truth for cause in found}
    model.says = teller
    office = Office(stage)
    from django.utils import timezone

    since, clock, weeks, before = timezone.now(), timezone.now(), list[Week](), 0
    print(f"{len(found)} causes, {sum(c.truth is None for c in found)} of them without a right answer", flush=True)
    for number in range(1, options.weeks + 1):
        week, began = Week(number), time.monotonic()
        active = found[: options.causes + options.new * (number - 1)]
        for turn in range(options.writes):
            batch = [(cause, cause.cases[cause.sent % len(cause.cases)]) for cause in active]
            for cause, case in batch:
                cause.sent += 1
                if cause.truth is not None:
                    cause.intended.append(meant(cause, case))
                    week.answerable += 1
            assert not asyncio.run(send(stage, batch)), "a write was answered by 5xx"
            if turn < 2:
                office.settled()
        office.settled()
        clock += timedelta(days=7)
        office.optimize(clock)
        week.decisions = office.review(active)
        office.settled()
        since = office.counts(week, since)
        right, wrong, said = tally(stage, active)
        week.landed, before = right - before, right
        weeks.append(week)
        print(f"week {number:2}: {json.dumps(_plain(week))} wrong {wrong} ({time.monotonic() - began:.0f} s)", flush=True)
    office.tell()
    return weeks, wrong, said


def _plain(week: Week) -> dict[str, Any]:
    return {name: getattr(week, name) for name in week.__struct_fields__ if name != "number"}


def drawn(week: Week) -> tuple[float, float, float, int]:
    """A week as the picture takes it."""
    writes = max(1, week.answerable)
    return week.by_ai / max(1, week.fixes), week.asked / writes, week.landed / writes, week.decisions


def main() -> int:
    """Plays, prints, draws; 1 where a promise is broken."""
    options = _options()
    with scripted_model() as model:
        os.environ |= {"AI_BASE_URL": model.url, "AI_API_KEY": "sk-test", "AI_MODEL": "scripted"}
        with Stage() as stage:
            weeks, wrong, said = play(stage, model, options)
    for line in said[:10]:
        print(f"  WRONG {line}")
    last = weeks[-4:]
    share = sum(w.by_ai for w in last) / max(1, sum(w.fixes for w in last))
    success = sum(w.landed for w in weeks) / max(1, sum(w.answerable for w in weeks))
    figure("quarter: AI fix rate, last four weeks", f"{share:.1%}", "< 15 %", share < 0.15)
    figure("quarter: landed right, of what has a right answer", f"{success:.2%}", "> 99 %", success > 0.99)
    figure("quarter: wrong heals", str(wrong), "0", wrong == 0)
    figure("quarter: decisions of people a week, last four weeks", f"{sum(w.decisions for w in last) / len(last):.1f}", "stated", True)
    draw(Path(options.picture), [drawn(week) for week in weeks])
    return int(share >= 0.15 or success <= 0.99 or wrong > 0)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.optimizer.quarter", description=__doc__)
    numbers = {"weeks": 13, "causes": 12, "new": 4, "writes": 6, "seed": 1}
    for name, default in numbers.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--wrong", type=float, default=0.15, help="share of the AI's answers that are wrong")
    parser.add_argument("--picture", default=str(ROOT / "docs" / "optimizer-quarter.svg"))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
