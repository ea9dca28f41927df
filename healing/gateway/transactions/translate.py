"""An operation as the request of the data API that it is: from there on it is read, planned and healed as any write."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from urllib.parse import quote

from msgspec import Struct

from healing.core.types import Json, Row
from healing.gateway import receipts
from healing.gateway.kept import Envelope
from healing.gateway.preferences import parse_preferences
from healing.gateway.querystring import pairs_of
from healing.gateway.request import PREFIX, Request, parse
from healing.gateway.transactions.asked import Operation, refusal
from healing.gateway.transactions.refs import Given, resolve

_METHODS = {"insert": "POST", "upsert": "POST", "update": "PATCH", "delete": "DELETE"}
_NO_FILTER = frozenset({"select", "order", "limit", "offset", "columns", "on_conflict"})
_CHOOSES = "A condition on an embedded table (orders.id=eq.1) only filters what is shown of that table. Name columns of the table itself."


class Translated(Struct, frozen=True):
    """The request, and what it would have looked like on the wire."""

    request: Request
    envelope: Envelope


def translate(
    operation: Operation, given: Given, columns: tuple[str, ...], headers: Mapping[str, str], exposed: tuple[str, ...]
) -> Translated:
    """``columns``: those that later operations refer to. Raises ``DialectError`` and ``NotGiven``."""
    method, path = _METHODS[operation.op], f"/{quote(operation.table, safe='')}"
    query = _query(operation, given, columns).encode()
    own = _headers(operation, bool(columns), headers)
    body = b"" if operation.op == "delete" else receipts.encode(_body(operation, given))
    request = parse(method, path, query, own, exposed)
    if operation.op in ("update", "delete") and not request.root_filters:
        raise refusal(f"The filter {operation.filter!r} chooses no rows of {operation.table}: it would change every row", _CHOOSES)
    return Translated(request, Envelope(method, PREFIX + path, query, own, body))


def _body(operation: Operation, given: Given) -> Json:
    if operation.op == "update":
        return resolve(operation.values or {}, given)
    rows = operation.rows if isinstance(operation.rows, list) else [operation.rows or {}]
    return [resolve(row, given) for row in rows]


def _headers(operation: Operation, wanted: bool, headers: Mapping[str, str]) -> dict[str, str]:
    asked = parse_preferences(headers.get("prefer"))
    prefer = ["return=representation" if wanted or operation.select else "return=minimal"]
    if operation.op == "upsert":
        prefer.append("resolution=ignore-duplicates" if operation.ignore_duplicates else "resolution=merge-duplicates")
    prefer += [f"healing={asked.healing}"] * (asked.healing is not None) + [f"timezone={asked.timezone}"] * (asked.timezone is not None)
    prefer += ["missing=default"] * asked.missing_default
    prefer += ["handling=strict"] * asked.strict
    prefer += [f"max-affected={asked.max_affected}"] * (asked.max_affected is not None)
    kept = {name: headers[name] for name in ("content-profile",) if name in headers}
    return {**kept, "content-type": "application/json", "prefer": ",".join(prefer)}


def _query(operation: Operation, given: Given, columns: tuple[str, ...]) -> str:
    parts = [f"{_key(column)}={_condition(value)}" for column, value in resolve(operation.match or {}, given).items()]
    if operation.filter:
        parts.append(_filter(operation.filter))
    if operation.on_conflict:
        parts.append(f"on_conflict={quote(operation.on_conflict, safe=',')}")
    if isinstance(operation.rows, list) and operation.rows:
        keys = dict.fromkeys(key for row in operation.rows for key in row)
        if len(operation.rows) > 1 and keys:
            parts.append("columns=" + quote(",".join(f'"{_escaped(key)}"' for key in keys)))
    selected = operation.select or (",".join(f'"{_escaped(column)}"' for column in columns) if columns else "")
    if selected:
        parts.append(f"select={quote(selected, safe='')}")
    return "&".join(parts)


def _filter(text: str) -> str:
    """Every part must be a condition: in a URL a part without ``=`` means nothing, and here it would mean every row."""
    bare = text.lstrip("?&")
    pairs = pairs_of(bare.encode("utf-8", "surrogatepass"))
    for key, value in pairs:
        if key in _NO_FILTER or value is None:
            raise refusal(f"'{key}' in a filter is no condition", "A filter holds conditions only, e.g. age=gt.18&name=like.A*.")
    if not pairs:
        raise refusal(f"The filter {text!r} holds no condition, so it would mean every row", "Write e.g. age=gt.18&name=like.A*.")
    return bare


def _key(column: str) -> str:
    """Quoted, so that a column may be called ``order`` or ``a.b``."""
    return quote(f'"{_escaped(column)}"', safe="")


def _condition(value: Json) -> str:
    match value:
        case None:
            return "is.null"
        case [one]:  # in a list of one, an empty text would mean that there is none
            return "eq." + quote(_text(one), safe="")
        case list():
            return "in.(" + quote(",".join(f'"{_escaped(_text(each))}"' for each in value), safe="") + ")"
    return "eq." + quote(_text(value), safe="")


def _text(value: Json) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | Decimal():
            return str(value)
        case str():
            return value
    raise refusal("A match compares with text, numbers, true, false, null, or a list of them")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def rows_of(body: bytes) -> list[Row]:
    """The rows that an operation gave back."""
    found = receipts.decode(body) if body else []
    return list(found) if isinstance(found, list) else [found]
