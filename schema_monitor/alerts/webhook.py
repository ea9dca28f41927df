"""The event that a webhook gets: one change, in the form of Standard Webhooks (docs/reference/schema-webhooks.md)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from schema_monitor.alerts.letter import Letter, Told
from schema_monitor.alerts.signing import signature

CHANGE, TEST = "schema.change", "mendgate.test"
_PLAIN = (
    "id", "kind", "severity", "schema", "relation", "object", "sentence", "old", "new",
    "breaks_old_writers", "breaks_old_readers", "inferred", "hits",
)  # fmt: skip


def body(letter: Letter) -> str:
    """The JSON text. The same at every attempt."""
    data = {"subscription": letter.subscription, "url": letter.url}
    if letter.changes:
        data = _change(letter, letter.changes[0])
    return json.dumps({"type": CHANGE if letter.changes else TEST, "timestamp": _stamp(letter.at), "data": data}, ensure_ascii=False)


def headers(reference: str, text: str, signing: Sequence[str], now: datetime) -> dict[str, str]:
    """The three headers of the standard; ``now`` is the time of this attempt."""
    at = now.replace(microsecond=0)
    return {
        "webhook-id": reference,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature(list(signing), reference, at, text),
    }


def _change(letter: Letter, change: Told) -> dict[str, Any]:
    facts = {name: getattr(change, name) for name in _PLAIN}
    by = {"role": change.by, "application": change.application, "statement": change.statement}
    return {"target": letter.target, "epoch": letter.epoch, "change": {**facts, "by": by, "next_step": change.step, "url": change.url}}


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
