"""Flushes become points, points become figures. One process ingests at a time; a flush and its points stand or fall together."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from metrics.core.count import Series as Labels
from metrics.core.figures import Figures
from metrics.core.fold import ALL, folded
from metrics.core.names import is_known
from metrics.core.sketch import Sketch, dump, load
from metrics.models import Flush, Point, Resolution, Series

BATCH = 200
EVER = datetime(2000, 1, 1, tzinfo=UTC)
KEPT = {Resolution.MINUTE: timedelta(days=2), Resolution.HOUR: timedelta(days=60), Resolution.DAY: timedelta(days=800)}
_LOCK = 7_305_140_281
Key = tuple[Labels, str, datetime]


def ingest() -> int:
    """Turns waiting flushes into points; returns how many. Nobody waits: where another process is at it, it does."""
    done = 0
    while True:
        with transaction.atomic():
            if not _alone():
                return done
            flushes = list(Flush.objects.select_for_update(skip_locked=True).order_by("id")[:BATCH])
            _add(flushes)
            Flush.objects.filter(pk__in=[flush.pk for flush in flushes]).delete()
        done += len(flushes)
        if len(flushes) < BATCH:
            return done


def figures(since: datetime, until: datetime | None = None) -> Figures:
    """Everything counted from ``since`` on, flushes that are not ingested yet included. ``since`` is rounded down to the resolution that
    holds it: minutes for two days back, hours for sixty, else days."""
    found, until = Figures(), until or timezone.now() + timedelta(minutes=1)
    resolution = resolution_for(since)
    points = Point.objects.filter(resolution=resolution, at__gte=start_of(resolution, since), at__lt=until)
    points = points.exclude(series__name__startswith=ALL)
    outermost = not connection.in_atomic_block
    with transaction.atomic():
        if outermost:  # one moment: a flush counts as itself or as its points, never as both or neither
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        _read(found, points)
        for flush in Flush.objects.filter(at__gte=since, at__lt=until):
            for labels, amount, sketch in _parts(flush.body):
                _put(found, labels, amount, sketch)
    return found


def ever() -> Figures:
    """Everything counted since the beginning: what Prometheus wants, over all processes."""
    return figures(EVER)


def prune() -> int:
    """Forgets points that a coarser resolution keeps; returns how many. Not while another process ingests: it may just have looked up
    a series without points."""
    gone = 0
    with transaction.atomic():
        if not _alone():
            return 0
        for resolution, age in KEPT.items():
            gone += Point.objects.filter(resolution=resolution, at__lt=timezone.now() - age).delete()[0]
        Series.objects.filter(points=None).delete()
    return gone


def resolution_for(since: datetime) -> Resolution:
    """The finest resolution that still holds everything since then."""
    if since <= EVER:
        return Resolution.EVER
    age = timezone.now() - since
    return next((resolution for resolution, kept in KEPT.items() if age < kept - timedelta(hours=1)), Resolution.DAY)


def start_of(resolution: str, at: datetime) -> datetime:
    """When the stretch began that holds a moment."""
    at = at.astimezone(UTC)
    match resolution:
        case Resolution.MINUTE:
            return at.replace(second=0, microsecond=0)
        case Resolution.HOUR:
            return at.replace(minute=0, second=0, microsecond=0)
        case Resolution.DAY:
            return at.replace(hour=0, minute=0, second=0, microsecond=0)
    return EVER


def _alone() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_LOCK])
        row = cursor.fetchone()
    return bool(row and row[0])


def _add(flushes: list[Flush]) -> None:
    """Adds what was flushed to the points of every resolution."""
    amounts: dict[Key, float] = defaultdict(float)
    sketches: dict[Key, Sketch] = defaultdict(Sketch)
    for flush in flushes:
        for labels, amount, sketch in _parts(flush.body):
            for each in filter(None, (labels, folded(labels))):
                for resolution in Resolution.values:
                    key = (each, resolution, start_of(resolution, flush.at))
                    if sketch is None:
                        amounts[key] += amount
                    else:
                        sketches[key].merge(sketch)
    ids = _series({labels for labels, _, _ in (*amounts, *sketches)})
    _add_amounts(amounts, ids)
    _add_sketches(sketches, ids)


def _add_amounts(amounts: dict[Key, float], ids: dict[Labels, int]) -> None:
    sql = """INSERT INTO metrics_point (series_id, resolution, at, amount) VALUES (%s, %s, %s, %s)
        ON CONFLICT (resolution, at, series_id) DO UPDATE SET amount = metrics_point.amount + EXCLUDED.amount"""
    with connection.cursor() as cursor:
        cursor.executemany(sql, [(ids[labels], resolution, at, amount) for (labels, resolution, at), amount in amounts.items()])


def _add_sketches(sketches: dict[Key, Sketch], ids: dict[Labels, int]) -> None:
    wanted = {(ids[labels], resolution, at): sketch for (labels, resolution, at), sketch in sketches.items()}
    stored = Point.objects.filter(series_id__in={key[0] for key in wanted}, at__in={key[2] for key in wanted})
    for point in stored:
        fresh = wanted.get((point.series_id, point.resolution, point.at))
        if fresh is not None and point.sketch is not None:
            fresh.merge(load(point.sketch))
    rows = [Point(series_id=s, resolution=r, at=at, sketch=dump(sketch)) for (s, r, at), sketch in wanted.items()]
    unique = ["resolution", "at", "series"]
    Point.objects.bulk_create(rows, update_conflicts=True, unique_fields=unique, update_fields=["sketch"])


def _series(wanted: set[Labels]) -> dict[Labels, int]:
    names = {labels[0] for labels in wanted}
    known = _known(names)
    new = [Series(name=labels[0], labels=list(labels[1:])) for labels in wanted if labels not in known]
    if new:
        Series.objects.bulk_create(new, ignore_conflicts=True)
        known = _known(names)
    return known


def _known(names: set[str]) -> dict[Labels, int]:
    return {(name, *labels): pk for pk, name, labels in Series.objects.filter(name__in=names).values_list("pk", "name", "labels")}


def _read(found: Figures, points: Any) -> None:
    rows = points.values_list("series__name", "series__labels", "amount", "sketch")
    for name, labels, amount, sketch in rows.iterator():
        if is_known((name, *labels)):
            _put(found, (name, *labels), amount, None if sketch is None else load(sketch))


def _put(found: Figures, labels: Labels, amount: float, sketch: Sketch | None) -> None:
    if sketch is None:
        found.add(labels, amount)
    else:
        found.merge(labels, sketch)


def _parts(body: dict[str, Any]) -> list[tuple[Labels, float, Sketch | None]]:
    """The series of a flush; those that this version does not know are left out."""
    counters = [(tuple(labels), amount, None) for labels, amount in body["counters"] if is_known(labels)]
    return [*counters, *((tuple(labels), 0.0, load(plain)) for labels, plain in body["sketches"] if is_known(labels))]
