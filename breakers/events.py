"""Breakers' changes of state, copied from Valkey's log into Postgres: each once, however often and by whomever it is copied.

The log is capped and may be lost; what was copied stays until it is old (``prune``). Reading begins at the newest moment that is
known, again with it, since two entries may share a millisecond; or at the beginning, where Valkey's clock went back.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import redis
from django.db import connection, transaction
from django.utils import timezone
from redis.backoff import NoBackoff
from redis.retry import Retry

from breakers import valkey_address, where
from breakers.models import BreakerConfigVersion, BreakerEvent
from breakers.shared.keys import Names

logger = logging.getLogger(__name__)

PATIENCE = 0.25
"""Seconds to connect, and for each answer: a page may be waiting."""
REST = 5.0
"""Seconds that pages leave Valkey alone after it did not answer."""
PAGE, MOST = 500, 10_000
KEEP = timedelta(days=90)
_silent_until = 0.0
_LOCK = 0x6D67_6265
Listener = Callable[[BreakerEvent], None]
_listeners: list[Listener] = []


def when_copied(listener: Listener) -> None:
    """Calls the listener with each event that is new here, once over all processes, in the transaction that stores it."""
    if listener not in _listeners:
        _listeners.append(listener)


def copy() -> int:
    """Copies what is new; returns how many entries that were. Raises ``redis.RedisError`` or ``OSError`` where Valkey does not answer."""
    place = where.current()
    if not place.redis_url:
        return 0
    log = Names(place.namespace).log
    bounds: dict[str, Any] = {"socket_timeout": PATIENCE, "socket_connect_timeout": PATIENCE, "retry": Retry(NoBackoff(), 0)}
    with valkey_address.client(place.redis_url, decode_responses=True, **bounds) as client:
        start, copied = _start(client, log), 0
        while copied < MOST:
            entries: Any = client.xrange(log, start, "+", PAGE)
            if not entries:
                break
            copied += _keep(entries)
            start = f"({entries[-1][0]}"
    return copied


def copy_for_page() -> bool:
    """The same where a page wants it: whether Valkey answered. One that did not is left alone for a moment."""
    global _silent_until
    if time.monotonic() < _silent_until:
        return False
    try:
        copy()
    except (redis.RedisError, OSError) as error:
        logger.warning("events of breakers cannot be read, Valkey is away: %s", error)
        _silent_until = time.monotonic() + REST
        return False
    return True


def prune() -> int:
    """Forgets what is older than ``KEEP``; the newest of each breaker stays, it says how it came to stand as it does."""
    old = BreakerEvent.objects.filter(at__lt=timezone.now() - KEEP)
    newest = BreakerEvent.objects.order_by("name", "-at", "-id").distinct("name").values("pk")
    return old.exclude(pk__in=newest).delete()[0]


def _start(client: Any, log: str) -> str:
    """Where to read from."""
    known = BreakerEvent.objects.order_by("-at").values_list("at", flat=True).first()
    last = client.xrevrange(log, count=1)
    if known is None or not last:
        return "-"
    moment = round(known.timestamp() * 1000)
    return f"{moment}-0" if int(last[0][0].partition("-")[0]) >= moment else "-"


@transaction.atomic
def _keep(entries: list[tuple[str, dict[str, str]]]) -> int:
    """Stores those that are new. One at a time, so that each is told to the listeners once."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    there = set(BreakerEvent.objects.filter(stream_id__in=[each for each, _ in entries]).values_list("stream_id", flat=True))
    events = [_event(each, fields) for each, fields in entries if each not in there]
    BreakerEvent.objects.bulk_create(events, ignore_conflicts=True)
    for event in events:
        for listener in _listeners:
            listener(event)
    return len(events)


def _event(stream_id: str, fields: dict[str, str]) -> BreakerEvent:
    why = _why(fields)
    return BreakerEvent(
        stream_id=stream_id,
        at=datetime.fromtimestamp(int(stream_id.partition("-")[0]) / 1000, UTC),
        name=fields.get("name", "")[:200],
        from_state=fields.get("before", "")[:12],
        to_state=fields.get("after", "")[:12],
        why=why,
        sentence=sentence(fields.get("after", ""), why),
        who=_who(fields) if why.get("rule") == "person" else "",
    )


def _why(fields: dict[str, str]) -> dict[str, Any]:
    """What the log says of the reason; whatever it holds, an event is made of it."""
    try:
        why = json.loads(fields.get("why") or "{}")
    except ValueError:
        why = {}
    known = {"config_version": int(fields["cfgv"])} if fields.get("cfgv", "").isdigit() else {}
    source = {name: fields[name] for name in ("source", "scope") if fields.get(name)}
    return {**known, **source, **(why if isinstance(why, dict) else {})}


def sentence(state: str, why: dict[str, Any]) -> str:
    """The same for people: what happened, for how long, who saw it, and an example."""
    parts = [str(why.get("sentence") or "It is not known why.")]
    if why.get("sources_failing") and why.get("sources_active", 0) > 1:
        parts.append(f"{why['sources_failing']} of {why['sources_active']} processes saw failures.")
    if state == "open" and why.get("seconds"):
        parts.append(f"It stays open for {why['seconds']:.0f} s.")
    if why.get("error"):
        parts.append(f"For instance: {why['error']}")
    return " ".join(parts)


def _who(fields: dict[str, str]) -> str:
    """Who made the version of the configuration that an entry names."""
    version = int(fields["cfgv"]) if fields.get("cfgv", "").isdigit() else 0
    rows = BreakerConfigVersion.objects.filter(config__name=fields.get("name", ""), version=version)
    return rows.values_list("who", flat=True).first() or ""
