"""The timeline: what changed, what did not fit afterwards, what mended it. One stretch of time, from the URL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from msgspec.structs import replace

from healing.admin.schema_pages import page, viewing
from healing.schema_facts.versions import light
from healing.timeline import collect, span
from healing.timeline.event import LANES, SEVERITIES, Event, Link
from healing.timeline.links import links
from healing.timeline.picture import Mark, Picture, draw
from schema_monitor.models import SchemaVersion

ROWS = 50
_NEEDS = {"kept": "healing.view_quarantineitem", "rule": "healing.view_rule", "replay": "healing.view_replay"}
_FILTERS = ("table", "severity", "kind", "q")


@viewing
def timeline(request: HttpRequest) -> HttpResponse:
    """The picture, and the same as a table."""
    given = {name: request.GET.get(name, "").strip() for name in (*_FILTERS, "last", "from", "to")}
    stretch = span.read(given["last"], given["from"], given["to"], timezone.now(), _oldest())
    asked = collect.Asked(given["table"], given["severity"], given["kind"], given["q"])
    renamed = collect.renames()
    lanes = [lane for lane in LANES if lane not in _NEEDS or request.user.has_perm(_NEEDS[lane])]
    events = [event for event in collect.collect(stretch, asked, renamed) if event.lane in lanes]
    found = links(events, renamed)
    filters = {name: given[name] for name in _FILTERS if given[name]}
    return page(
        request, "timeline", "Schema timeline", span=stretch, asked=given, filters=filters,
        picture=_linked(draw(events, found, stretch, lanes), stretch, filters), rows=_rows(request, events, found),
        total=sum(1 for event in events if event.lane in SEVERITIES), kinds=_kinds(stretch), severities=SEVERITIES,
        steps=_steps(stretch, filters), newest=light().order_by("-epoch").first(),
    )  # fmt: skip


def _rows(request: HttpRequest, events: Sequence[Event], found: Sequence[Link]) -> Any:
    """Newest first, each with what it followed from and what followed."""
    by_id = {event.id: event for event in events}
    before: dict[str, list[Event]] = {}
    after: dict[str, list[Event]] = {}
    for link in found:
        before.setdefault(link.after, []).append(by_id[link.before])
        after.setdefault(link.before, []).append(by_id[link.after])
    newest_first = list(reversed(events))
    shown = Paginator(newest_first, ROWS).get_page(request.GET.get("page"))
    rows: Any = [{"event": e, "before": before.get(e.id, []), "after": after.get(e.id, [])} for e in shown.object_list]
    shown.object_list = rows
    return shown


def _oldest() -> datetime | None:
    """When the first version was taken: before that there is nothing to see."""
    return SchemaVersion.objects.order_by("epoch").values_list("taken_at", flat=True).first()


def _linked(picture: Picture, stretch: span.Span, filters: Mapping[str, str]) -> Picture:
    """A mark that stands for several leads closer, as far as that goes."""

    def lead(mark: Mark) -> Mark:
        if not mark.several or stretch.length <= span.SHORTEST:
            return mark
        return replace(mark, link="?" + urlencode({**stretch.closer(mark.at), **filters}))

    return replace(picture, marks=tuple(lead(mark) for mark in picture.marks))


def _kinds(stretch: span.Span) -> list[tuple[str, str]]:
    return [*collect.SORTS.items(), *((kind, kind.replace("_", " ")) for kind in collect.kinds(stretch))]


def _steps(stretch: span.Span, filters: Mapping[str, str]) -> dict[str, Any]:
    """Links to other stretches, with the same filters."""
    base = reverse("admin:schema_timeline") + "?"
    presets = [(word, base + urlencode({"last": word, **filters}), word == stretch.preset) for word in span.PRESETS]
    return {
        "presets": presets, "earlier": base + urlencode({**stretch.earlier(), **filters}),
        "later": "" if stretch.preset else base + urlencode({**stretch.later(), **filters}), "all": base + urlencode(stretch.parameters()),
    }  # fmt: skip
