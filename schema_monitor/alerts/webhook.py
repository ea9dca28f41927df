"""The event that a webhook gets: one change, or a notice that began or ended. In the form of Standard Webhooks
(docs/reference/schema-webhooks.md)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from schema_monitor.alerts.letter import Letter, Noted, Told
from schema_monitor.alerts.signing import signature

CHANGE, TEST = "schema.change", "mendgate.test"
BEGAN, ENDED = "notice.began", "notice.ended"
_PLAIN = (
    "id", "kind", "severity", "schema", "relation", "object", "sentence", "old", "new",
    "breaks_old_writers", "breaks_old_readers", "inferred", "hits",
)  # fmt: skip


def body(letter: Letter) -> str:
    """The JSON text. The same at every attempt."""
    name, data = _event(letter)
    return json.dumps({"type": name, "timestamp": _stamp(letter.at), "data": data}, ensure_ascii=False)


def headers(reference: str, text: str, signing: Sequence[str], now: datetime) -> dict[str, str]:
    """The three headers of the standard; ``now`` is the time of this attempt."""
    at = now.replace(microsecond=0)
    return {
        "webhook-id": reference,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature(list(signing), reference, at, text),
    }


def _event(letter: Letter) -> tuple[str, dict[str, Any]]:
    if letter.changes:
        return CHANGE, _change(letter, letter.changes[0])
    if letter.notice:
        return ENDED if letter.notice.ended else BEGAN, {"notice": _notice(letter.notice)}
    return TEST, {"subscription": letter.subscription, "url": letter.url}


def _notice(notice: Noted) -> dict[str, Any]:
    facts = {name: getattr(notice, name) for name in ("id", "kind", "about", "severity", "sentence", "facts", "url")}
    times = {"began": _stamp(notice.began), "ended": _stamp(notice.ended) if notice.ended else None}
    return {**facts, **times, "outcome": notice.who or None, "next_step": notice.step or None}


def _change(letter: Letter, change: Told) -> dict[str, Any]:
    facts = {name: getattr(change, name) for name in _PLAIN}
    by = {"role": change.by, "application": change.application, "statement": change.statement}
    return {"target": letter.target, "epoch": letter.epoch, "change": {**facts, "by": by, "next_step": change.step, "url": change.url}}


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
