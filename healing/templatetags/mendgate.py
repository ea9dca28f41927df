"""How the dashboard says things: a state as a colour and a word, a time as how long ago, JSON in a line."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from healing.core import chance
from healing.core.signature import read, split
from healing.row_diff import text
from healing.schema_facts.compare import column_text as spoken
from schema_monitor.core.snapshot import Column

register = template.Library()

_COLOURS = {
    "waiting": "warning", "open": "warning", "proposed": "warning", "review": "warning", "paused": "warning", "quarantined": "warning",
    "replaying": "info", "running": "info", "undone": "info", "superseded": "info",
    "replayed": "success", "active": "success", "approved": "success", "committed": "success", "done": "success",
    "landed": "success", "partly": "warning",
    "parked": "danger", "conflict": "danger", "demoted": "danger", "rejected": "danger", "expired": "danger", "revoked": "danger",
    "critical": "danger", "high": "warning", "medium": "info", "delivered": "success", "failed": "danger", "back to review": "warning",
    "fits": "success", "heals": "success", "needs a rule": "warning", "breaks": "danger", "in use": "warning", "quiet": "info",
    "trying": "info", "adopted": "success", "settled": "success", "rolled back": "danger", "stopped": "danger", "due": "warning",
    "failing": "danger", "firing": "danger", "given up": "danger", "sending": "info", "unknown": "warning", "begun": "info",
    "held": "success", "broke": "danger", "kept": "warning", "refused": "info", "unexplained": "danger",
}  # fmt: skip


_MOST_PARTS = 8


@register.filter
def cause(signature: str) -> str:
    """``unknown_column:qty`` as people say it; of very many misfits the first ones, and how many more."""
    parts = split(signature)
    shown = parts if len(parts) <= _MOST_PARTS else parts[: _MOST_PARTS - 1]
    said = " + ".join(" ".join(filter(None, (kind.replace("_", " "), key))) for kind, key in map(read, shown))
    return said if len(shown) == len(parts) else f"{said} and {len(parts) - len(shown)} more"


@register.simple_tag
def state(value: Any) -> SafeString:
    """A label with the word in it."""
    word = str(value)
    return format_html('<span class="mg-state mg-{}">{}</span>', _COLOURS.get(word, "plain"), word)


@register.simple_tag
def breaker_state(value: str) -> SafeString:
    """A breaker's state: another colour than elsewhere, where "open" waits for somebody."""
    colour = {"open": "danger", "forced_open": "danger", "closed": "success", "shadow": "info"}.get(value, "warning")
    return format_html('<span class="mg-state mg-{}">{}</span>', colour, value.replace("half_open", "half-open").replace("_", " "))


@register.simple_tag
def badge(words: str, state: str) -> SafeString:
    """A label with other words than the state that colours it."""
    return format_html('<span class="mg-state mg-{}">{}</span>', _COLOURS.get(state, "plain"), words)


@register.simple_tag
def ago(moment: datetime | None) -> SafeString | str:
    """``2 min ago``, with the exact time on hover."""
    if moment is None:
        return "never"
    return format_html(
        '<time data-mg-ago datetime="{}" title="{}">{}</time>',
        moment.isoformat(),
        moment.strftime("%Y-%m-%d %H:%M:%S %Z"),
        distance(moment),
    )


def distance(moment: datetime) -> str:
    """How long ago, in one unit."""
    seconds = int((timezone.now() - moment).total_seconds())
    future, seconds = seconds < 0, abs(seconds)
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"in {seconds // size} {unit}" if future else f"{seconds // size} {unit} ago"
    return "now" if seconds < 2 else (f"in {seconds} s" if future else f"{seconds} s ago")


@register.simple_tag(takes_context=True)
def with_query(context: Any, **changes: Any) -> str:
    """The page's own query with these parameters instead; a new filter starts at the first page."""
    query = context["request"].GET.copy()
    query.pop("page", None)
    for name, value in changes.items():
        query[name] = str(value)
    return str(query.urlencode())


@register.filter
def moment(value: Any) -> SafeString | str:
    """``2 min ago`` of a time as JSON says it."""
    try:
        return ago(datetime.fromisoformat(value) if isinstance(value, str) else value)
    except ValueError:
        return str(value)


@register.filter
def item(held: dict[Any, Any], key: Any) -> Any:
    """What a mapping holds under a key."""
    return held.get(key, "")


@register.filter
def column_text(column: Column) -> str:
    """A column's type and properties as SQL says them."""
    return spoken(column)


@register.filter
def json_line(value: Any) -> str:
    """A value as JSON in one line."""
    return text(value)


@register.filter
def percent(value: float) -> str:
    """``97 %``, never rounded up to certainty."""
    return chance.percent(value)
