"""``/api/v1/metrics``: the numbers beside their targets; and ``/metrics`` for Prometheus."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Field, Router, Schema

from healing.api_caller import KeyAuth, caller_of
from healing.gateway.errors import DialectError
from healing.gauges import gauges, quarantine_age
from healing.models import Role
from metrics import edge, prometheus, store, timelines, windows
from metrics.core.figures import Figures
from metrics.core.names import METRICS
from metrics.core.summary import NUMBERS, summarize

_KEY = KeyAuth("api", "metrics")
router = Router(tags=["metrics"], auth=_KEY)


@router.get("/summary", summary="The numbers, their targets, and the window before")
def summary(request: HttpRequest, window: str = "7d") -> dict[str, Any]:
    """Durations in milliseconds, shares from 0 to 1, money in US dollars; null where nothing was seen. ``previous`` is the window before
    this one, ``targets`` what each number must reach, ``reached`` whether it does."""
    _require(request)
    try:
        length = windows.parse(window)
    except windows.NoWindow as error:
        raise DialectError("MG400", 400, str(error), None, None) from None
    now = timezone.now()
    with timelines.one_moment():
        places = timelines.asked(METRICS)
        figures = timelines.whole(places, now - length)
        found = _numbers(figures)
        before = _numbers(timelines.whole(places, now - 2 * length, now - length))
    return {
        "window": window,
        "until": now.isoformat(),
        **found,
        "quarantine_age": quarantine_age(),
        "units": {**{number.name: number.unit for number in NUMBERS}, "quarantine_age": "seconds"},
        "targets": {number.name: number.target for number in NUMBERS if number.target is not None},
        "reached": {number.name: number.reached(found[number.name]) for number in NUMBERS if number.target is not None},
        "previous": before,
        "edge": edge.told(figures),
    }


class Timing(Schema):
    """What was measured under one name. ``buckets[n]``: how many took at most 2^n milliseconds; the last: longer."""

    name: str
    count: int = Field(ge=0, le=1_000_000)
    errors: int = 0
    total_ms: float
    buckets: list[int]


class Timings(Schema):
    """Of one isolate, since it last told."""

    timings: list[Timing] = Field(max_length=100)


@router.post("/edge", response={202: None}, summary="What edge functions measured")
def take_timings(request: HttpRequest, told: Timings) -> tuple[int, None]:
    """Counted among the metrics, and told under ``edge`` of the summary. For service_role and the scope metrics."""
    _require(request)
    for each in told.timings:
        try:
            edge.take(each.name, each.count, each.errors, each.total_ms, each.buckets)
        except ValueError as error:
            raise DialectError("MG422", 422, str(error), None, "Send what performanceMonitor sends.") from None
    return 202, None


def scrape(request: HttpRequest) -> HttpResponse:
    """``GET /metrics``."""
    try:
        request.auth = _KEY(request)  # type: ignore[attr-defined]
        _require(request)
    except DialectError as error:
        return HttpResponse(f"{error.message}\n{error.hint or ''}\n", status=error.status, content_type="text/plain; charset=utf-8")
    return HttpResponse(prometheus.render(store.ever(), gauges()), content_type=prometheus.CONTENT_TYPE)


def _require(request: HttpRequest) -> None:
    """Names of tables and callers are not for everybody."""
    caller = caller_of(request)
    if caller.role != Role.SERVICE and "metrics" not in caller.scopes:
        hint = "Use a key with the role service_role or the scope metrics."
        raise DialectError("42501", 403, "This API key may not use metrics", None, hint)


def _numbers(figures: Figures) -> dict[str, float | None]:
    return {name: None if value is None else round(value, 6) for name, value in summarize(figures).items()}
