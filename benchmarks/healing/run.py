"""Sends cases through a Mendgate and looks at what is in the tables afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

import httpx
import msgspec
import psycopg
from psycopg.rows import tuple_row

from benchmarks.healing.case import Case, Outcome
from benchmarks.healing.ddl import quoted
from benchmarks.stage import Stage
from healing.core.types import Row

AT_ONCE = 8
ENCODER = msgspec.json.Encoder(decimal_format="number")


def prepare(stage: Stage, cases: Sequence[Case]) -> None:
    """Makes all tables, lets Mendgate see them and each migration but the last."""
    _ddl(stage, (s for case in cases for s in case.before))
    stage.sql("GRANT ALL ON ALL TABLES IN SCHEMA public TO service_role", "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO service_role")
    most = max(len(case.steps) for case in cases)
    for number in range(most):
        stage.capture()
        _ddl(stage, (s for case in cases for s in _step(case, number - most)))


def _step(case: Case, number: int) -> tuple[str, ...]:
    """Counted from the end (-1 = the last), so that all end together."""
    return case.steps[number] if -number <= len(case.steps) else ()


def _ddl(stage: Stage, statements: Iterable[str]) -> None:
    with psycopg.connect(stage.owner_url) as connection:
        for number, statement in enumerate(statements, 1):
            connection.execute(statement)  # type: ignore[call-overload]
            if number % 200 == 0:
                connection.commit()


async def send(stage: Stage, cases: Sequence[Case]) -> list[Outcome]:
    """Every case once, a few at a time; answers in the order of the cases."""
    gate = asyncio.Semaphore(AT_ONCE)
    async with stage.client(limits=httpx.Limits(max_connections=AT_ONCE)) as client:

        async def one(case: Case) -> Outcome:
            async with gate:
                return await _send(client, case)

        return await asyncio.gather(*map(one, cases))


async def _send(client: httpx.AsyncClient, case: Case) -> Outcome:
    headers = {"content-type": "application/json", **case.headers}
    answer = await client.request(case.method, case.path, content=ENCODER.encode(case.row), headers=headers)
    found = Outcome(case, answer.status_code, *(answer.headers.get(f"mendgate-{n}", "") for n in ("healed", "changed", "quarantine")))
    found.note = "" if answer.is_success else answer.text[:300]
    if found.quarantine:
        kept = await client.get(f"/api/v1/quarantine/{found.quarantine}")
        found.proposed = _proposed(case, kept.json().get("proposals", [])) if kept.status_code == 200 else "unread"
    return found


def _proposed(case: Case, proposals: list[dict[str, Any]]) -> str:
    """What the best proposal says about the asked key: right, wrong, silent (nothing above one half where there is no answer)."""
    if case.truths is None:
        return "unknown"
    if not case.truths:
        claims = [p for p in proposals if p["probability"] > 0.5 and any(_claims(op, case.key) for op in p["fix"])]
        return "wrong" if claims else "silent"
    best = proposals[0]["fix"] if proposals else []
    if any(all(op.get(k) == v for k, v in truth.items()) for truth in case.truths for op in best):
        return "right"
    return "wrong" if any(_claims(op, case.key) for op in best) else "silent"


def _claims(op: dict[str, Any], key: str) -> bool:
    return op["op"] in ("rename_column", "map_value", "fill", "rename_table") and key in (op.get("from"), op.get("column"), "")


def judge(stage: Stage, outcomes: Sequence[Outcome]) -> None:
    """Right: it landed exactly as meant, or was kept where nobody could know. Wrong: anything else in a table, or lost."""
    with psycopg.connect(stage.owner_url, autocommit=True, row_factory=tuple_row) as connection:
        for outcome in outcomes:
            outcome.verdict = _verdict(connection, outcome)


def _verdict(connection: psycopg.Connection[Any], outcome: Outcome) -> str:
    case = outcome.case
    if outcome.status >= 500:
        return "failed"
    if outcome.status >= 300 and case.source == "healthy" and not _fits(connection, case):
        return "unfit"
    if outcome.status >= 300:
        return "abstained" if outcome.quarantine else "refused"
    if case.intended is None:
        return "wrong"
    stored = connection.execute(f"SELECT to_jsonb(t) FROM {quoted(case.table)} t").fetchall()  # type: ignore[call-overload]
    meant = _as_stored(connection, case.table, case.intended)
    if meant is None:
        return "unjudged"
    if any(all(row.get(k) == v for k, v in meant.items()) for (row,) in stored) and len(stored) == 1:
        return "right"
    outcome.note = f"meant {meant}, stored {stored}"[:400]
    return "wrong"


def _fits(connection: psycopg.Connection[Any], case: Case) -> bool:
    """Whether Postgres itself takes the row: the data leaves out what triggers supply, so a few calls only fit at home."""
    table, names = quoted(case.table), ", ".join(map(quoted, case.row))
    source = f"(SELECT {names} FROM jsonb_populate_record(NULL::{table}, %s::jsonb))"
    write = f"INSERT INTO {table} ({names}) {source}" if case.method == "POST" else f"UPDATE {table} SET ({names}) = {source}"
    try:
        with connection.transaction(force_rollback=True):
            connection.execute(write, (ENCODER.encode(case.row).decode(),))  # type: ignore[call-overload]
    except psycopg.Error:
        return False
    return True


def _as_stored(connection: psycopg.Connection[Any], table: str, row: Row) -> dict[str, Any] | None:
    """The intended row as Postgres would show it."""
    query = f"SELECT to_jsonb(jsonb_populate_record(NULL::{quoted(table)}, %s::jsonb))"
    try:
        shown = connection.execute(query, (ENCODER.encode(row).decode(),)).fetchone()  # type: ignore[call-overload]
    except psycopg.Error:
        return None
    return {k: v for k, v in shown[0].items() if k in row} if shown else None
