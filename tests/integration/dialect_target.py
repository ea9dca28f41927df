"""A target with relations of every shape, and one way to run the dialect against it: parse, plan, execute, render."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import psycopg

from healing.gateway.answer import Answer
from healing.gateway.names import Names
from healing.gateway.plan_read import plan_read
from healing.gateway.plan_rpc import plan_rpc
from healing.gateway.plan_write import plan_delete, plan_insert, plan_update
from healing.gateway.request import Request, parse
from healing.gateway.response import check_read, check_write, planned_rows, render_call, render_read, render_write, total_of
from healing.gateway.sqltext import Query
from schema_monitor.catalog import read_snapshot
from schema_monitor.core.lineage import Lineage

SCHEMA = Path(__file__).with_name("dialect.sql").read_text()
EXPOSED = ("public",)


class Target:
    """Requests against one database; every write is rolled back unless ``keep`` is set."""

    def __init__(self, url: str) -> None:
        self.loop = asyncio.new_event_loop()
        self.conn = self.run(asyncpg.connect(url))
        self.snapshot = self.run(read_snapshot(self.conn, EXPOSED))
        self.lineage = Lineage.start(self.snapshot)
        self.healed: list[tuple[str, str, str]] = []
        self.query: Query = Query("")

    @classmethod
    def fresh(cls, url: str) -> Target:
        """On an empty database, as its owner."""
        with psycopg.connect(url, autocommit=True) as owner:
            owner.execute(SCHEMA)
        return cls(url)

    def run(self, awaitable: Any) -> Any:
        return self.loop.run_until_complete(awaitable)

    def close(self) -> None:
        self.run(self.conn.close())
        self.loop.close()

    def execute(self, sql: str) -> None:
        """DDL or data; the lineage moves on."""
        self.run(self.conn.execute(sql))
        new = self.run(read_snapshot(self.conn, EXPOSED))
        self.lineage, self.snapshot = self.lineage.advance(self.snapshot, new), new

    def names(self, follow: bool = True) -> Names:
        return Names(self.snapshot, self.lineage, follow)

    def get(self, address: str, *, method: str = "GET", follow: bool = True, **headers: str) -> Answer:
        request, names = self.parse(method, address, headers), self.names(follow)
        self.query = query = plan_read(request, names)
        self.healed = names.healed
        record = self.record(query)
        counted = query.count_query
        planned = None if counted is None else planned_rows(self.run(self.conn.fetchval(counted.sql, *counted.params)))
        check_read(request, record["n"])
        return render_read(request, body=record["body"], n=record["n"], total=total_of(request, record["total"], planned))

    def rows(self, address: str, **headers: str) -> Any:
        return msgspec.json.decode(self.get(address, **headers).body)

    def write(
        self,
        method: str,
        address: str,
        rows: Any = (),
        *,
        asked: Mapping[str, str] | None = None,
        back: tuple[str, ...] | None = None,
        keep: bool = False,
        keys: tuple[str, ...] | None = None,
        **headers: str,
    ) -> Answer:
        request, names = self.parse(method, address, headers), self.names()
        relation = names.relation(request.schema, request.name)
        rows = [rows] if isinstance(rows, dict) else list(rows)
        given = keys or request.columns or tuple(rows[0] if rows else ())
        if method == "DELETE":
            plan = plan_delete(request, relation, names, asked=asked or {}, back=back)
        else:
            planner = plan_update if method == "PATCH" else plan_insert
            plan = planner(request, relation, given, names, asked=asked or {}, back=back)
            plan = Query(plan.sql, (msgspec.json.encode(rows).decode(), *plan.params[1:]))
        self.healed, self.reused, self.query = names.healed, names.reused, plan
        return self.run(self._written(request, plan, keep))

    async def _written(self, request: Request, plan: Query, keep: bool) -> Answer:
        transaction = self.conn.transaction()
        await transaction.start()
        try:
            self.written = record = await self.conn.fetchrow(plan.sql, *plan.params)
            check_write(request, record["n"])
            answer = render_write(
                request,
                body=record["body"],
                affected=record["n"],
                inserted=record["inserted"],
                total=record["total"],
                location=record["location"],
            )
        except BaseException:
            await transaction.rollback()
            raise
        await (transaction.commit() if keep else transaction.rollback())
        return answer

    def call(self, address: str, arguments: Mapping[str, Any] | None = None, *, method: str = "POST", **headers: str) -> Answer:
        request = self.parse(method, f"/rpc/{address}", headers)
        body = None if arguments is None else msgspec.json.encode(arguments).decode()
        call = plan_rpc(request, self.names(), given=tuple(arguments or ()), body=body or "{}")
        self.query = call.query
        record = self.run(self._called(call.query))
        return render_call(request, body=record["body"], n=record["n"], total=record["total"], void=call.void)

    async def _called(self, query: Query) -> Any:
        transaction = self.conn.transaction(readonly=query.read_only)
        await transaction.start()
        try:
            return await self.conn.fetchrow(query.sql, *query.params)
        finally:
            await transaction.rollback()

    def record(self, query: Query) -> Any:
        return self.run(self.conn.fetchrow(query.sql, *query.params))

    @staticmethod
    def parse(method: str, address: str, headers: Mapping[str, str]) -> Request:
        path, _, query = address.partition("?")
        return parse(method, path, query.encode(), {k.replace("_", "-"): v for k, v in headers.items()}, EXPOSED)
