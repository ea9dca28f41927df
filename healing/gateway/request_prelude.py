"""What a transaction is told of its request before the statement: role, claims, search path, and what PostgREST tells functions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import msgspec

from healing.gateway.auth import Caller
from healing.gateway.prelude import Prelude
from healing.gateway.request import Request
from healing.gateway.target import quote_name

_SECRET = frozenset({"authorization", "apikey", "cookie"})


def prelude_of(caller: Caller, request: Request, headers: Mapping[str, str], *, shared: bool = False) -> Prelude:
    """Role, claims, search path and what PostgREST tells functions about the request. ``shared`` leaves the headers out: the
    statement serves several requests."""
    names, values = _common_settings(request.schema, request.method, request.name, request.preferences.timezone)
    if shared:
        return caller.prelude.plus(names, values)
    shown = msgspec.json.encode({k: v for k, v in headers.items() if k not in _SECRET}).replace(b"\\u0000", b"")
    return caller.prelude.plus((*names, "request.headers"), (*values, shown))


@lru_cache(maxsize=40_000)
def _common_settings(schema: str, method: str, name: str, timezone: str | None) -> tuple[tuple[str, ...], tuple[bytes, ...]]:
    path = ", ".join(dict.fromkeys((quote_name(schema), '"public"', '"extensions"')))
    settings = {"search_path": path, "request.method": method, "request.path": f"/{name}"}
    if timezone is not None:
        settings["timezone"] = timezone
    return tuple(settings), tuple(value.encode(errors="surrogatepass") for value in settings.values())
