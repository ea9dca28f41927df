"""What is wrong with the calls of a file, held against the schema as it is now."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from healing.core.match import propose
from healing.core.sources.calls import DataCall, FileCalls, Via
from healing.core.sources.findings import Finding, found
from healing.core.sources.writes import LIKELY, World, judge_write, telling
from healing.core.types import Kind, Misfit, Operation, Statement
from healing.gateway.errors import DialectError
from healing.gateway.functions import find_function
from healing.gateway.names import Names
from healing.scan.reads import judge_reads


def judge(files: Iterable[FileCalls], world: World, default_schema: str = "public") -> list[Finding]:
    """All findings, in the order of files and lines."""
    told = {(f.place, f.rule, f.column, f.message): f for file in files for f in _file(file, world, default_schema)}
    return sorted(told.values(), key=lambda f: (f.place, f.rule, f.column))


def _file(file: FileCalls, world: World, default_schema: str) -> Iterator[Finding]:
    for unread in file.unread:
        yield found("not-readable", unread.place, unread.why)
    for call in file.data:
        if call.via is not Via.ELSEWHERE and call.table is not None and call.schema is not None:
            yield from judge_call(call, call.schema or default_schema, world)


def judge_call(call: DataCall, schema: str, world: World) -> Iterator[Finding]:
    """The findings of one call. A schema that is not exposed cannot be judged."""
    if call.table is None or (world.snapshot.exposed and schema not in world.snapshot.exposed):
        return
    if call.operation == "rpc":
        yield from _function(call, schema, world)
        return
    names = Names(world.snapshot, world.lineage)
    relation = names.find_relation(schema, call.table)
    if relation is None:
        yield _unknown_table(call, schema, world)
        return
    if relation.name != call.table:
        message = f"the table `{call.table}` is called `{relation.name}` now"
        op = {"op": "rename_table", "from": call.table, "to": relation.name}
        yield found("renamed", call.place, message, fix=f"write `{relation.name}`", table=relation.name, ops=(op,))
    if call.writes and call.operation != "delete":
        yield from judge_write(call, relation, world)
    yield from judge_reads(call, relation, world)


def _unknown_table(call: DataCall, schema: str, world: World) -> Finding:
    """With the table that is probably meant, where one is likely."""
    rows = tuple({key.name: telling(key) for key in payload.keys} for payload in call.payloads or ())[:1]
    operation = Operation.UPDATE if call.operation == "select" else Operation(call.operation)
    statement = Statement(operation, schema, call.table or "", rows)
    proposals = propose(statement, (Misfit(Kind.UNKNOWN_TABLE, call.table or ""),), None, world.snapshot, claims={}, lineage=world.lineage)
    best = next((p for p in proposals if p.probability >= LIKELY), None)
    fix = f"`{best.fix[0]['to']}` is probably meant" if best is not None else "create it, or name one that is there"
    return found(
        "unknown-table", call.place, f"there is no table or view `{call.table}` in {schema}", fix=fix, table=call.table,
        ops=best.fix if best is not None else (),
    )  # fmt: skip


def _function(call: DataCall, schema: str, world: World) -> Iterator[Finding]:
    """A database function with these arguments. Arguments that cannot be seen leave only the name to judge."""
    named = [f for f in world.snapshot.functions.values() if f.schema == schema and f.name == call.table and f.returns != "trigger"]
    if not named:
        yield found(
            "unknown-function",
            call.place,
            f"there is no function `{call.table}` in {schema}",
            fix="create it, or name one that is there",
            table=call.table,
        )
        return
    shapes = [p for p in call.payloads or () if p.whole]
    if call.payloads == ():
        shapes = []
        given: list[tuple[str, ...]] = [()]
    else:
        given = [tuple(sorted(p.names())) for p in shapes if not any(key.maybe for key in p.keys)]
    for names in given:
        try:
            find_function(world.snapshot, schema, call.table or "", names, post=True)
        except DialectError as error:
            listed = ", ".join(names) or "no arguments"
            yield found(
                "unknown-function", call.place, f"no function `{call.table}` takes {listed}",
                fix=_takes(named[0].arguments) if len(named) == 1 else str(getattr(error, "hint", None) or ""), table=call.table,
            )  # fmt: skip
            return


def _takes(arguments: tuple[object, ...]) -> str:
    taken = [f"{a.name}{'?' if a.has_default else ''}" for a in arguments if a.mode in ("i", "b", "v")]  # type: ignore[attr-defined]
    return f"it takes {', '.join(taken) or 'no arguments'}"
