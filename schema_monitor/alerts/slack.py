"""The body of a Slack incoming webhook: blocks, and a plain text for notifications."""

from __future__ import annotations

from typing import Any

from schema_monitor.alerts.letter import Letter, Line
from schema_monitor.core.alert_texts import cut, for_slack

MOST = 10
_MARKS = {
    "critical": ":red_circle:", "high": ":large_orange_circle:", "medium": ":large_yellow_circle:", "low": ":large_blue_circle:",
    "over": ":large_green_circle:",
}  # fmt: skip


def body(letter: Letter) -> dict[str, Any]:
    """At most ``MOST`` changes, the worst first; the rest is a number and a link. Slack's limits: 50 blocks, 3,000 characters each."""
    lines, head = letter.lines, letter.title
    blocks = [{"type": "header", "text": {"type": "plain_text", "text": cut(head, 150), "emoji": False}}]
    blocks += [_section(_line(line)) for line in lines[:MOST]]
    return {"text": for_slack(cut(head, 500)), "unfurl_links": False, "blocks": [*blocks, _section(_end(letter, len(lines) - MOST))]}


def _line(told: Line) -> str:
    lines = [f"{_MARKS[told.mark]} *{told.mark}* {for_slack(cut(told.sentence, 600))}"]
    lines += [for_slack(cut(told.who, 500))] if told.who else []
    return "\n".join([*lines, f"{for_slack(cut(told.step, 500))} <{told.url}|Look>".strip()])


def _end(letter: Letter, left: int) -> str:
    if letter.is_test:
        return f"This is what a message looks like. <{letter.url}|The subscription>"
    more = f"and {left} more · " if left > 0 else ""
    return f"{more}<{letter.url}|{letter.origin}>"


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}
