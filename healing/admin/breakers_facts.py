"""What the breakers' pages say: each row with how it stands in this process (which follows the shared state), in words."""

from __future__ import annotations

import time
from collections.abc import Container, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Max
from django.utils import timezone
from msgspec import Struct
from msgspec.structs import replace

from breakers import publish, registry, stored, where
from breakers.config import said
from breakers.core.types import View
from breakers.gateway.ai.gates import PAUSE
from breakers.models import BreakerConfig, BreakerConfigVersion, BreakerEvent
from breakers.probes import Probes, probes
from healing.admin.breakers_picture import SPANS, WORDS, Picture, Step, Story, draw
from healing.templatetags.mendgate import distance

COLOURS = {"closed": "success", "open": "danger", "half_open": "warning", "forced_open": "danger", "disabled": "warning", "shadow": "info"}
_ORDER = ("forced_open", "open", "half_open", "disabled", "shadow", "closed")
_MOST_STEPS = 2000
HEARSAY = 0.15
"""Seconds."""
_watching: registry.Registry | None = None


class Card(Struct, frozen=True):
    """One breaker now."""

    row: BreakerConfig
    view: View
    word: str
    colour: str
    sentence: str
    error: str
    opened: BreakerEvent | None
    """the last opening."""
    probes: Probes | None = None
    """where it is half-open."""

    @property
    def state(self) -> str:
        return str(self.view.state)

    @property
    def urgent(self) -> bool:
        """Whether a person should look."""
        return self.state in ("open", "forced_open")

    @property
    def counts(self) -> tuple[int, int, int]:
        """Calls, failures and slow ones: of the trials, of the window, or of what it held when it opened."""
        why = self.view.why or {}
        if self.probes is not None:
            return self.probes.ok + self.probes.failed, self.probes.failed, 0
        if self.state in ("open", "half_open") and isinstance(why.get("calls"), int):
            return why["calls"], int(why.get("failures", 0)), int(why.get("slow", 0))
        return self.view.calls, self.view.failures, self.view.slow

    @property
    def meter(self) -> dict[str, float]:
        """The window as parts of 100: failed, slow, well; and where it opens."""
        calls, failures, slow_ones = self.counts
        bad, slow = 100 * failures / (calls or 1), 100 * slow_ones / (calls or 1)
        ok = 100 * (calls - failures - slow_ones) / (calls or 1)
        parts = {"bad": bad, "slow": slow, "ok": ok, "slow_from": bad, "ok_from": bad + slow, "mark": 100 * self.row.failure_rate}
        return {name: round(value, 1) for name, value in parts.items()}

    @property
    def window(self) -> str:
        """The counts in words."""
        calls, failures, slow_ones = self.counts
        span = f"the last {self.row.window_calls} calls" if self.row.window_calls else f"the last {self.row.window:g} s"
        when = "when it opened" if self.state in ("open", "half_open") else f"in {span}"
        if self.probes is not None:
            return f"Trial calls: {self.probes.running} under way, {self.probes.ok} ended well, {self.probes.failed} failed."
        if not calls:
            return f"No calls {when}."
        slow = f", {slow_ones} slow" if slow_ones else ""
        return f"{failures} of {calls} calls failed {when}{slow} ({failures / calls:.0%})."

    @property
    def rule(self) -> str:
        """When it opens."""
        row = self.row
        found = f"Opens at {row.failure_rate:.0%} failed, with {row.failure_threshold} failures and {row.minimum_calls} calls at least"
        if row.consecutive:
            found += f"; or at {row.consecutive} failures in a row"
        if row.slow_after is not None:
            found += f"; or when {row.slow_rate:.0%} take {row.slow_after:g} s or longer"
        return found + "."


def cards(names: Sequence[str] = ()) -> list[Card]:
    """All breakers (or those named), what needs a look first. A pause that a provider asked for shows only while it lasts: there is one
    for each key and model."""
    rows = BreakerConfig.objects.filter(name__in=names) if names else BreakerConfig.objects.all()
    latest = BreakerEvent.objects.filter(to_state="open").exclude(from_state="open").values("name").annotate(last=Max("pk")).values("last")
    opened = {event.name: event for event in BreakerEvent.objects.filter(pk__in=latest)}
    ours = stored.versions()
    _hear([row for row in rows if row.name not in ours])
    found = [_card(row, ours, opened.get(row.name)) for row in rows]
    found = [each for each in found if names or not each.row.name.startswith(PAUSE) or each.state != "closed"]
    trying = probes([each.row.name for each in found if each.state == "half_open"])
    found = [replace(each, probes=trying.get(each.row.name)) for each in found]
    return sorted(found, key=lambda each: (_ORDER.index(each.state), each.row.name))


def _card(row: BreakerConfig, ours: Container[str], opened: BreakerEvent | None) -> Card:
    view = registry.get(row.name).view() if row.name in ours else _view(row)
    why = view.why or {}
    error = str(why.get("error", "")) if view.state in ("open", "half_open") else ""
    return Card(row, view, WORDS[view.state], COLOURS[view.state], _sentence(row, view, why), error, opened)


def _view(row: BreakerConfig) -> View:
    """How one stands that this process does not use itself: it is only watched, so that the code's own wishes stay the code's."""
    breaker = _watched().get(row.name)
    if breaker.settings.version < row.version or (row.version == 1 and breaker.settings != publish.settings_of(row.settings(), 1)):
        breaker.configure(publish.settings_of(row.settings(), row.version))
    return breaker.view()


def _hear(rows: Sequence[BreakerConfig]) -> None:
    """Those that are looked at for the first time are heard of first, for a moment at most."""
    new = [breaker for breaker in (_watched().get(row.name) for row in rows) if breaker.standing is None]
    ends = time.monotonic() + HEARSAY
    while time.monotonic() < ends and where.current().redis_url and any(breaker.standing is None for breaker in new):
        time.sleep(0.005)


def _watched() -> registry.Registry:
    """Breakers that are only looked at, made when somebody looks."""
    global _watching
    if _watching is None:
        place, _watching = where.current(), registry.Registry()
        if place.redis_url:
            _watching.connect(place.redis_url, namespace=place.namespace)
    return _watching


def _sentence(row: BreakerConfig, view: View, why: Mapping[str, Any]) -> str:
    by = f"{row.override_by} did it {distance(row.override_at)}: {row.override_why}" if row.override_at else ""
    said_why = str(why.get("sentence", "")).strip()
    match view.state:
        case "forced_open":
            return f"Every call is refused. {by}".strip()
        case "disabled":
            return f"Every call goes through, nothing is counted. {by}".strip()
        case "shadow":
            return f"It only watches: it refuses nothing. {said_why}".strip()
        case "open":
            return f"{said_why or 'It is open.'} {_wait(view)}".strip()
        case "half_open":
            return f"Trial calls find out whether it is well again, {row.permits} at most."
    if view.ramp < 1:
        return f"It recovers: {view.ramp:.0%} of the calls are let through."
    return ""


def _wait(view: View) -> str:
    seconds = -(-view.remaining_ms // 1000)
    return f"The next try is in {seconds} s." if seconds else "The next call tries."


def headline(found: Sequence[Card]) -> dict[str, str]:
    """Is all well?"""
    closed = [each for each in found if each.urgent]
    trying = [each for each in found if each.state == "half_open"]
    off = [each for each in found if each.state == "disabled"]
    if closed:
        names = ", ".join(each.row.name for each in closed[:3]) + (f" and {len(closed) - 3} more" if len(closed) > 3 else "")
        return {"colour": "danger", "text": f"{len(closed)} of {len(found)} breakers {'is' if len(closed) == 1 else 'are'} open: {names}."}
    if trying:
        return {"colour": "warning", "text": f"{trying[0].row.name} is trying whether it is well again."}
    if off:
        return {"colour": "warning", "text": f"{off[0].row.name} is disabled: it protects nothing now."}
    return {"colour": "success", "text": "Every breaker is closed: calls go through."}


def lanes(found: Sequence[Card], span: str) -> Picture:
    """How they stood over the last hour or day; by name, so that nothing moves when one opens."""
    end = timezone.now()
    start = end - SPANS[span]
    names = [each.row.name for each in found]
    before = BreakerEvent.objects.filter(name__in=names, at__lt=start).order_by("name", "-at", "-id").distinct("name")
    during = BreakerEvent.objects.filter(name__in=names, at__gte=start).order_by("-at", "-id")[:_MOST_STEPS]
    steps: dict[str, list[BreakerEvent]] = {}
    for event in [*before, *reversed(during)]:
        steps.setdefault(event.name, []).append(event)
    stories = [
        Story(str(each.row.pk), each.row.name, each.state, _steps(each, steps.get(each.row.name, []), end))
        for each in sorted(found, key=lambda each: each.row.name)
    ]
    return draw(stories, start, end)


def _steps(each: Card, events: Sequence[BreakerEvent], end: datetime) -> tuple[Step, ...]:
    """From the row's beginning on. What is true now stands at the end, even where its event was not copied yet."""
    first = events[0] if events else None
    steps = [Step(each.row.created_at, (first.from_state or "closed") if first else each.state)]
    steps += [Step(event.at, event.to_state, event.sentence) for event in events if event.from_state != event.to_state or event is first]
    steps.sort(key=lambda step: step.at)
    if steps[-1].state != each.state:
        steps.append(Step(max(steps[-1].at, end - timedelta(seconds=2)), each.state))
    return tuple(steps)


def history(row: BreakerConfig, most: int = 30) -> list[dict[str, Any]]:
    """Its versions, newest first, each with what it changed."""
    versions = list(row.versions.all()[: most + 1])
    return [
        {"version": version, "changes": _changes(older, version), "override": version.override}
        for version, older in zip(versions, [*versions[1:], None], strict=True)
    ][:most]


def _changes(older: BreakerConfigVersion | None, version: BreakerConfigVersion) -> list[tuple[str, str, str]]:
    if older is None:
        return []
    pairs = [(name, older.settings.get(name), value) for name, value in version.settings.items()]
    return [(name.replace("_", " "), said(old), said(new)) for name, old, new in pairs if old != new]
