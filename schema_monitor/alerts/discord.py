"""The body of a Discord webhook: one embed, coloured by the worst severity, and nobody mentioned."""

from __future__ import annotations

from typing import Any

from schema_monitor.alerts.letter import Letter, Told
from schema_monitor.core.alert_texts import cut, for_discord, one_line, title

MOST = 8
_COLOURS = {"critical": 0xDC2626, "high": 0xEA580C, "medium": 0xCA8A04, "low": 0x2563EB}


def body(letter: Letter) -> dict[str, Any]:
    """At most ``MOST`` changes, the worst first. Discord's limits: 256 a title, 1,024 a field, 6,000 in all."""
    changes = letter.by_severity
    head = title(letter.epoch, len(changes), letter.worst, changes[0].sentence if changes else "")
    embed = {
        "title": cut(for_discord(head), 250),
        "url": letter.url,
        "color": _COLOURS[letter.worst],
        "timestamp": letter.at.isoformat(),
        "fields": [_field(change) for change in changes[:MOST]],
        "footer": {"text": _end(letter, len(changes) - MOST)},
    }
    return {"allowed_mentions": {"parse": []}, "embeds": [embed]}


def _field(change: Told) -> dict[str, Any]:
    lines = [cut(for_discord(one_line(line)), 220) for line in (change.sentence, change.who) if line]
    return {"name": f"{change.severity}: {change.kind}", "value": "\n".join([*lines, f"{change.step} [Look]({change.url})"])}


def _end(letter: Letter, left: int) -> str:
    if letter.epoch is None:
        return "This is what a message looks like."
    return f"Schema version {letter.epoch}" + (f" · and {left} more changes" if left > 0 else "")
