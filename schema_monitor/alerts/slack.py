"""The body of a Slack incoming webhook: blocks, and a plain text for notifications."""

from __future__ import annotations

from typing import Any

from schema_monitor.alerts.letter import Letter, Told
from schema_monitor.core.alert_texts import cut, for_slack, title

MOST = 10
_MARKS = {"critical": ":red_circle:", "high": ":large_orange_circle:", "medium": ":large_yellow_circle:", "low": ":large_blue_circle:"}


def body(letter: Letter) -> dict[str, Any]:
    """At most ``MOST`` changes, the worst first; the rest is a number and a link. Slack's limits: 50 blocks, 3,000 characters each."""
    changes = letter.by_severity
    head = title(letter.epoch, len(changes), letter.worst, changes[0].sentence if changes else "")
    blocks = [{"type": "header", "text": {"type": "plain_text", "text": cut(head, 150), "emoji": False}}]
    blocks += [_section(_change(change)) for change in changes[:MOST]]
    return {"text": for_slack(cut(head, 500)), "unfurl_links": False, "blocks": [*blocks, _section(_end(letter, len(changes) - MOST))]}


def _change(change: Told) -> str:
    lines = [f"{_MARKS[change.severity]} *{change.severity}* {for_slack(cut(change.sentence, 600))}"]
    lines += [for_slack(cut(line, 500)) for line in (change.who,) if line]
    return "\n".join([*lines, f"{for_slack(change.step)} <{change.url}|Look>"])


def _end(letter: Letter, left: int) -> str:
    if letter.epoch is None:
        return f"This is what a message looks like. <{letter.url}|The subscription>"
    more = f"and {left} more · " if left > 0 else ""
    return f"{more}<{letter.url}|Schema version {letter.epoch}>"


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}
