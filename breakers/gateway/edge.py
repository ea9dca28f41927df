"""``/api/v1/breakers``: breakers for callers that cannot hold state, such as edge functions. Free of Django.

GET  /api/v1/breakers                   all that are known, small enough to keep for a few seconds (ETag)
GET  /api/v1/breakers/<name>            one
POST /api/v1/breakers/<name>/acquire    may I call now? {"allowed", "state", "token", "lease_ms", "retry_after_ms", "why"}
POST /api/v1/breakers/<name>/report     how calls ended, one or an array
POST /api/v1/breakers/report            the same for several breakers
Events (``/api/v1/breakers/events``) are streamed elsewhere: ``edge_feed`` knows them.
"""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import unquote

import msgspec
from msgspec import Struct

from breakers.core.types import Settings, View
from breakers.gateway import edge_report
from breakers.gateway.edge_counting import Counting
from breakers.gateway.edge_errors import EdgeError, bad_input, not_found, wrong_method
from breakers.gateway.edge_rights import Caller, checked_name, may_read, may_report, not_ours, source

PREFIX = "/api/v1/breakers"
EVENTS = f"{PREFIX}/events"
MOST_BYTES = 256 * 1024
FRESH = "private, max-age=2, stale-while-revalidate=3"
ASKED = ("failure_threshold", "failure_rate", "minimum_calls", "slow_after", "slow_rate", "window", "timeout", "permits", "permit_seconds")
"""What a caller may wish for a breaker that nobody has configured."""


class Reply(Struct, frozen=True):
    """An answer; ``value`` becomes its JSON, None has no body."""

    status: int
    value: Any = None
    headers: tuple[tuple[str, str], ...] = ()


class Edge:
    """The endpoints of one process."""

    def __init__(self, counting: Counting) -> None:
        self._counting = counting

    async def answer(self, method: str, path: str, headers: dict[str, str], body: bytes, caller: Caller) -> Reply:
        """Answers one request; ``path`` is what follows the prefix, still percent-encoded. Raises ``EdgeError``."""
        words = [unquote(word) for word in path.strip("/").split("/")] if path.strip("/") else []
        match words:
            case []:
                _only(method, "GET")
                return await self._all(headers, caller)
            case ["report"]:
                _only(method, "POST")
                return await self._report(None, headers, body, caller)
            case [name]:
                _only(method, "GET")
                return await self._one(name, headers, caller)
            case [name, "report"]:
                _only(method, "POST")
                return await self._report(name, headers, body, caller)
            case [name, "acquire"]:
                _only(method, "POST")
                return await self._acquire(name, headers, body, caller)
        raise not_found("There is nothing here", f"See {PREFIX}, …/<name>, …/<name>/acquire, …/<name>/report, …/report, …/events.")

    async def _all(self, headers: dict[str, str], caller: Caller) -> Reply:
        may_read(caller)
        views = sorted(await self._counting.views(), key=lambda view: view.name)
        return _fresh({"breakers": [shown(view, whole=_whole(caller)) for view in views]}, views, headers)

    async def _one(self, name: str, headers: dict[str, str], caller: Caller) -> Reply:
        may_read(caller)
        for anew in (False, True):  # another process may have made it just now
            found = [view for view in await self._counting.views(anew=anew) if view.name == name]
            if found:
                return _fresh(shown(found[0], whole=_whole(caller)), found, headers)
        raise not_found(f"There is no breaker {name[:100]!r}", "It comes to be with the first acquire or report.")

    async def _acquire(self, name: str, headers: dict[str, str], body: bytes, caller: Caller) -> Reply:
        may_report(caller)
        not_ours(checked_name(name))
        asked = _asked(body)
        granted = await self._counting.acquire(caller, name, asked, source(caller, headers.get("mendgate-isolate", "")))
        retry = (("Retry-After", str(-(-granted.retry_after_ms // 1000))),) if not granted.allowed else ()
        return Reply(200, granted, (("Cache-Control", "no-store"), *retry))

    async def _report(self, name: str | None, headers: dict[str, str], body: bytes, caller: Caller) -> Reply:
        may_report(caller)
        batch = edge_report.read(body, name, headers.get("idempotency-key", ""))
        place = source(caller, batch.isolate or headers.get("mendgate-isolate", ""))
        outcomes = await self._counting.report(caller, place, batch.items)
        errors = [_error(number, each) for number, each in enumerate(outcomes) if isinstance(each, EdgeError)]
        value = {
            "counted": outcomes.count("counted"),
            "repeated": outcomes.count("repeated"),
            "late": outcomes.count("late"),
            "errors": errors,
        }
        return Reply(200 if len(errors) < len(outcomes) else 422, value, (("Cache-Control", "no-store"),))


def shown(view: View, *, whole: bool) -> dict[str, Any]:
    """A breaker as the API tells it; ``why`` holds a sample error, so it is for callers that may report."""
    value: dict[str, Any] = msgspec.to_builtins(view)
    value["retry_after_ms"] = view.remaining_ms
    value["allows"] = allows(view)
    if not whole:
        del value["why"]
    return value


def allows(view: View) -> str:
    """What a caller that decides by a snapshot does: ``all``, ``some`` (that part, see ``ramp``), ``ask`` (acquire first), ``none``."""
    if view.state in ("disabled", "shadow"):
        return "all"
    if view.state == "half_open":
        return "ask"
    if view.state in ("open", "forced_open"):
        return "none"
    return "all" if view.ramp >= 1.0 else "some"


def _whole(caller: Caller) -> bool:
    try:
        may_report(caller)
    except EdgeError:
        return False
    return True


def _fresh(value: Any, views: list[View], headers: dict[str, str]) -> Reply:
    """With an ETag that changes when a decision could: not with every call that is counted."""
    telling = [(v.name, v.state, v.version, v.config_version, v.ramp, v.trips, v.pending, v.shared) for v in views]
    tag = 'W/"' + hashlib.sha256(msgspec.json.encode(telling)).hexdigest()[:24] + '"'
    known = [each.strip() for each in headers.get("if-none-match", "").split(",")]
    about = (("ETag", tag), ("Cache-Control", FRESH), ("Vary", "apikey, authorization"))
    return Reply(304, None, about) if tag in known or "*" in known else Reply(200, value, about)


def _asked(body: bytes) -> dict[str, Any]:
    """The settings a caller wishes for. Raises ``EdgeError``."""
    given = edge_report.decoded(body) if body.strip() else {}
    if not isinstance(given, dict):
        raise bad_input("The body is no object", 'Like {"settings": {"failure_threshold": 5, "timeout": 60}}, or leave it out.')
    wishes = given.get("settings", {})
    if unknown := given.keys() - {"settings"}:
        raise bad_input(f"Unknown: {', '.join(sorted(unknown))[:200]}", 'There is "settings".')
    if not isinstance(wishes, dict) or (unknown := wishes.keys() - set(ASKED)):
        raise bad_input("These settings cannot be asked for", f"There are {', '.join(ASKED)}; times in seconds.")
    try:
        msgspec.convert(wishes, Settings)
    except (msgspec.ValidationError, ValueError) as error:
        raise bad_input(f"The settings make no sense: {error}") from None
    return wishes


def _only(method: str, allowed: str) -> None:
    if method != allowed and not (method == "HEAD" and allowed == "GET"):
        raise wrong_method(allowed)


def _error(index: int, error: EdgeError) -> dict[str, Any]:
    return {"index": index, "code": error.code, "message": error.message, "hint": error.hint}
