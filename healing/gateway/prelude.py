"""What a transaction is told of its request before the statement: role, claims, search path, and what PostgREST tells functions."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

from healing.gateway.auth import Caller
from healing.gateway.request import Request
from healing.gateway.target import quote_literal, quote_name

_SECRET = frozenset({"authorization", "apikey", "cookie"})


def prelude_of(caller: Caller, request: Request, headers: Mapping[str, str], *, shared: bool = False) -> str:
    """Role, claims, search path and what PostgREST tells functions about the request. ``shared`` leaves the headers out: the
    statement serves several requests."""
    common = _common_settings(request.schema, request.method, request.name, request.preferences.timezone)
    if shared:
        return caller.prelude + common
    shown = msgspec.json.encode({k: v for k, v in headers.items() if k not in _SECRET}).decode().replace("\\u0000", "")
    return caller.prelude + common + _setting("request.headers", shown)


@lru_cache(maxsize=40_000)
def _common_settings(schema: str, method: str, name: str, timezone: str | None) -> str:
    path = ", ".join(dict.fromkeys((quote_name(schema), '"public"', '"extensions"')))
    settings = [("search_path", path), ("request.method", method), ("request.path", f"/{name}")]
    if timezone is not None and _is_zone(timezone):
        settings.append(("timezone", timezone))
    return "".join(_setting(key, value) for key, value in settings)


def _setting(name: str, value: str) -> str:
    return f",set_config({quote_literal(name)},{quote_literal(value)},true)"


def _is_zone(name: str) -> bool:
    try:
        return bool(ZoneInfo(name))
    except (ValueError, OSError, KeyError):
        return False
