"""From a record to an answer: status, headers and body as PostgREST gives them.

``check_write`` and ``check_read`` hold before anything is committed; the renderers raise the same errors where only the body shows
them, so render before the commit too.
"""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from healing.gateway.answer import Answer
from healing.gateway.errors import not_implemented, not_singular, out_of_bounds, put_mismatch, too_many_affected
from healing.gateway.plan_read import COUNTED
from healing.gateway.preferences import Preferences
from healing.gateway.request import Request

Header = tuple[str, str]
_MUTABLE = ("PATCH", "DELETE")


def check_read(request: Request, n: int) -> None:
    """``Accept: …object+json`` needs exactly one row."""
    if request.accept.kind == "object" and n != 1:
        raise not_singular(n)


def check_write(request: Request, affected: int) -> None:
    """What must hold before the commit: PUT hit its row, one object was asked and is there, ``max-affected``, and a ``limit``
    on PATCH or DELETE (which PostgREST ignores) would have changed nothing."""
    if request.method == "PUT" and affected != 1:
        raise put_mismatch()
    if request.accept.kind == "object" and affected != 1:
        raise not_singular(affected)
    preferences = request.preferences
    most = preferences.max_affected if preferences.strict else None
    if request.method in _MUTABLE and most is not None and affected > most:
        raise too_many_affected(affected)
    if request.method in _MUTABLE and request.limit is not None and affected > request.limit:
        raise not_implemented(f"limit does not choose rows of {request.method}: the filters match {affected} rows. Nothing was changed.")


def planned_rows(explained: str) -> int:
    """The planner's row count in the JSON of an EXPLAIN."""
    plan = msgspec.json.decode(explained)
    return int(plan[0]["Plan"]["Plan Rows"])


def total_of(request: Request, counted: int | None, planned: int | None) -> int | None:
    """The total that the caller asked for, from the record's ``total`` and the ``count_query``'s answer."""
    if request.preferences.count == "planned":
        return planned
    if request.preferences.count == "estimated" and counted is not None and counted > COUNTED:
        return max(counted, planned or 0)
    return counted


def render_read(request: Request, *, body: str | bytes | None, n: int, total: int | None) -> Answer:
    """The answer to a read. An offset past a known total is PGRST103."""
    check_read(request, n)
    first = request.offset
    if total is not None and first > total:
        raise out_of_bounds(first, total)
    partial = total is not None and n < total
    headers = [("Content-Type", request.accept.content_type), ("Content-Range", content_range(first, n, total))]
    text = b"" if request.head or body is None else _encoded(body)
    return Answer(206 if partial else 200, [*headers, *_profile(request), *_applied(request)], text)


def render_write(
    request: Request,
    *,
    body: str | bytes | None,
    affected: int,
    inserted: int | None,
    total: int | None,
    location: str | None = None,
    rolled_back: bool = False,
) -> Answer:
    """The answer to a write. ``body`` is the JSON array (or CSV) of the representation; ``rolled_back``: ``tx=rollback`` was
    honoured."""
    headers = [] if request.method == "PUT" else [("Content-Range", _written_range(request, affected, total))]
    if location is not None:
        headers.append(("Location", location_of(request.name, location)))
    headers += _applied(request, rolled_back=rolled_back)
    if not request.preferences.full or body is None:
        return Answer(_status(request, inserted), headers)
    headers = [("Content-Type", request.accept.content_type), *headers, *_profile(request)]
    return Answer(_status(request, inserted), headers, _written_body(request, body))


def render_call(request: Request, *, body: str | bytes | None, n: int, total: int | None, void: bool) -> Answer:
    """The answer to a function call. ``void`` functions have none: 204."""
    if void:
        return Answer(204, [("Content-Range", "*/*"), *_applied(request)])
    preferences = request.preferences
    if preferences.strict and preferences.max_affected is not None and n > preferences.max_affected:
        raise too_many_affected(n)
    return render_read(request, body=body, n=n, total=total)


def content_range(first: int, n: int, total: int | None) -> str:
    """``0-9/30``; ``*`` for no rows or no count."""
    rows = f"{first}-{first + n - 1}" if n > 0 and total != 0 else "*"
    return f"{rows}/{'*' if total is None else total}"


def location_of(name: str, key: str) -> str:
    """The address of the one row that was inserted; ``key`` is the JSON object of its primary key."""
    pairs = msgspec.json.decode(key, type=dict[str, msgspec.Raw])
    parts = (f"{quote(column, safe='')}={_key_filter(bytes(value))}" for column, value in pairs.items())
    return f"/{quote(name, safe='')}?{'&'.join(parts)}"


def _key_filter(value: bytes) -> str:
    if value == b"null":
        return "is.null"
    text = msgspec.json.decode(value) if value.startswith(b'"') else value.decode()
    return f"eq.{quote(text, safe='')}"


def _status(request: Request, inserted: int | None) -> int:
    full = request.preferences.full
    if request.method == "POST":
        merged = request.preferences.resolution == "merge-duplicates"
        return 200 if merged and inserted == 0 else 201
    if request.method == "PUT" and full:
        return 201 if inserted else 200
    return 200 if full else 204


def _written_range(request: Request, affected: int, total: int | None) -> str:
    if request.method == "PATCH":
        return content_range(0, affected, total)
    return f"*/{'*' if total is None else total}"


def _written_body(request: Request, body: str | bytes) -> bytes:
    text = _encoded(body)
    if request.accept.kind != "object":
        return text
    inner = text.strip()[1:-1].strip()
    if not inner:
        raise not_singular(0)
    return inner


def _encoded(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


def _profile(request: Request) -> list[Header]:
    return [("Content-Profile", request.schema)] if request.profile_given else []


def _applied(request: Request, *, rolled_back: bool = False) -> list[Header]:
    """``Preference-Applied``: those that this kind of request has, and ``tx`` only where it was honoured."""
    p = request.preferences
    write, insert = request.is_write, request.method == "POST" and request.kind == "table"
    strict_limit = p.strict and (request.method in _MUTABLE or request.kind == "rpc")
    candidates = (
        ("resolution", p.resolution if insert else None),
        ("missing", p.missing if write and request.method in ("POST", "PATCH") else None),
        ("return", p.representation if write else None),
        ("count", p.count),
        ("tx", p.tx if rolled_back or p.tx == "commit" else None),
        ("handling", p.handling),
        ("timezone", p.timezone),
        ("max-affected", str(p.max_affected) if strict_limit and p.max_affected is not None else None),
        *_healing(p, write=write),
    )
    applied = ", ".join(f"{name}={value}" for name, value in candidates if value is not None)
    return [("Preference-Applied", applied)] if applied and applied.isascii() else []


def _healing(preferences: Preferences, *, write: bool) -> tuple[tuple[str, str | None], ...]:
    if not write:
        return ()
    return ("healing", preferences.healing), ("healing", "partial" if preferences.partial else None)
