"""Before a replay: was a row it would touch written by somebody else since the write was kept?

A kept write remembers the transaction horizon (``pg_snapshot_xmax``). A row whose ``xmin`` lies beyond it is newer, unless the
transaction that wrote it was itself a replay: kept writes to one row are replayed in order and do not block each other.
The rows are looked up as the original caller.
"""

# ruff: noqa: S608 - identifiers come quoted from the catalog; values are parameters, or constants quoted here
from __future__ import annotations

from healing.gateway import receipts
from healing.gateway.auth import Caller
from healing.gateway.expressions import Scope
from healing.gateway.kept import Envelope
from healing.gateway.names import Names
from healing.gateway.payload import parse_payload
from healing.gateway.request import Request
from healing.gateway.request_prelude import prelude_of
from healing.gateway.services import Services
from healing.gateway.sqltext import Params, ident, qualified
from healing.gateway.target import Transaction
from healing.gateway.tree import read_tree
from healing.gateway.where import matching_sql
from schema_monitor.core.snapshot import Column, Relation

MARK = ("Mendgate-Outcome", "replayed")
_REPLAYS = """
SELECT DISTINCT xmin::text FROM mendgate.idempotency
WHERE headers @> '[["Mendgate-Outcome","replayed"]]' AND xmin::text = ANY($1::text[])"""


async def touched_since(services: Services, request: Request, envelope: Envelope, caller: Caller, horizon: int) -> bool:
    """Whether a row that this write would touch has a newer version. Raises what planning and the database raise."""
    state = services.state
    names = Names(state.snapshot, state.lineage)
    relation = names.relation(request.schema, request.name)
    if relation.kind not in ("r", "p"):
        return False
    if request.method in ("PATCH", "DELETE"):
        sql, params = _filtered(request, relation, names)
    else:
        keys = _conflict_columns(request, relation, names)
        if not keys:
            return False
        sql, params = _keyed(services, envelope, relation, names, keys)
    found = await _versions(services, request, caller, sql, params, horizon)
    return bool(found - await _written_by_replays(services, found))


def _filtered(request: Request, relation: Relation, names: Names) -> tuple[str, Params]:
    node = read_tree(request, names, relation)
    scope = Scope(names, Params())
    return f"SELECT {ident(node.alias)}.xmin{matching_sql(scope, node)}", scope.params


def _conflict_columns(request: Request, relation: Relation, names: Names) -> tuple[Column, ...]:
    wanted = request.on_conflict or relation.primary_key
    return tuple(names.column(relation, name) for name in wanted)


def _keyed(services: Services, envelope: Envelope, relation: Relation, names: Names, keys: tuple[Column, ...]) -> tuple[str, Params]:
    settings = services.settings
    payload = parse_payload(envelope.body, envelope.headers, depth=settings.depth_limit, most_rows=settings.row_limit)
    rows = [_key_of(row, relation, names, keys) for row in payload.rows]
    typed = ", ".join(f"{ident(column.name)} {column.type}" for column in keys)
    using = ", ".join(ident(column.name) for column in keys)
    params = Params(receipts.encode(rows).decode())
    target = qualified(relation.schema, relation.name)
    return f"SELECT t.xmin FROM {target} AS t JOIN json_to_recordset($1::json) AS k({typed}) USING ({using})", params


def _key_of(row: dict[str, object], relation: Relation, names: Names, keys: tuple[Column, ...]) -> dict[str, object]:
    live = {column.name: value for name, value in row.items() if (column := names.find_column(relation, name)) is not None}
    return {column.name: live.get(column.name) for column in keys}


async def _versions(services: Services, request: Request, caller: Caller, sql: str, params: Params, horizon: int) -> set[str]:
    beyond = f"((v::text::int8 - {horizon % 2**32}) & 4294967295) < 2147483648"
    transaction = await Transaction.begin(services.pool, f"BEGIN READ ONLY;{prelude_of(caller, request, {}).text}")
    records = await transaction.fetch(f"SELECT DISTINCT v::text AS x FROM ({sql}) AS found(v) WHERE {beyond}", *params.values)
    await transaction.commit()
    return {record["x"] for record in records}


async def _written_by_replays(services: Services, versions: set[str]) -> set[str]:
    if not versions:
        return set()
    async with services.pool.connection() as connection:
        return {record["xmin"] for record in await connection.fetch(_REPLAYS, list(versions))}
