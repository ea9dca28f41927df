"""The body of a Discord webhook: one embed, coloured by the worst severity, and nobody mentioned."""

from __future__ import annotations

from typing import Any

from schema_monitor.alerts.letter import Letter, Line
from schema_monitor.core.alert_texts import cut, for_discord, one_line

MOST = 8
_COLOURS = {"critical": 0xDC2626, "high": 0xEA580C, "medium": 0xCA8A04, "low": 0x2563EB, "over": 0x16A34A}


def body(letter: Letter) -> dict[str, Any]:
    """At most ``MOST`` changes, the worst first. Discord's limits: 256 a title, 1,024 a field, 6,000 in all."""
    lines = letter.lines
    embed = {
        "title": cut(for_discord(letter.title), 250),
        "url": letter.url,
        "color": _COLOURS[letter.mark],
        "timestamp": letter.at.isoformat(),
        "fields": [_field(line) for line in lines[:MOST]],
        "footer": {"text": _end(letter, len(lines) - MOST)},
    }
    return {"allowed_mentions": {"parse": []}, "embeds": [embed]}


def _field(told: Line) -> dict[str, Any]:
    lines = [cut(for_discord(one_line(line)), 220) for line in (told.sentence, told.who, told.step) if line]
    return {"name": f"{told.mark}: {told.kind}", "value": "\n".join([*lines, f"[Look]({told.url})"])}


def _end(letter: Letter, left: int) -> str:
    if letter.is_test:
        return "This is what a message looks like."
    return letter.origin + (f" · and {left} more changes" if left > 0 else "")
