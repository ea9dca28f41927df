"""What was counted over time: figures of a stretch and of each of its steps, over all tables and callers or of some only.

Reads sums that are kept for that (``metrics.core.fold``) where nothing is filtered, so a month of two hundred tables is a few thousand
rows. What was flushed and is not ingested yet counts too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import msgspec
from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone
from msgspec import Struct

from metrics.core.count import Series as Labels
from metrics.core.cover import COARSEST_FIRST, DAY, LENGTHS, MINUTE, Part, ceiling, cover, floor
from metrics.core.figures import Figures
from metrics.core.fold import WIDE, stored
from metrics.core.names import METRICS
from metrics.core.sketch import Sketch, load
from metrics.models import Flush, Series
from metrics.store import KEPT

_SUMS = """SELECT date_bin(%s, p.at, %s), m.place, sum(p.amount)
    FROM unnest(%s::bigint[], %s::int[]) AS m(series, place)
    JOIN metrics_point p ON p.series_id = m.series AND p.resolution = %s AND p.at >= %s AND p.at < %s
    WHERE p.sketch IS NULL GROUP BY 1, 2"""
_SKETCHES = """SELECT date_bin(%s, p.at, %s), m.place, p.sketch::text
    FROM unnest(%s::bigint[], %s::int[]) AS m(series, place)
    JOIN metrics_point p ON p.series_id = m.series AND p.resolution = %s AND p.at >= %s AND p.at < %s
    WHERE p.sketch IS NOT NULL"""


class Only(Struct, frozen=True):
    """Of one table (``schema.table``) or one caller; '' is all. A metric that does not tell callers apart counts all of them."""

    table: str = ""
    caller: str = ""

    def __bool__(self) -> bool:
        return bool(self.table or self.caller)


class Slice(Struct, frozen=True):
    """What was counted from ``at`` on, for one step."""

    at: datetime
    figures: Figures


EVERYTHING = Only()


@contextmanager
def one_moment(seconds: float | None = None) -> Iterator[None]:
    """One snapshot for several questions: a flush counts as itself or as its points, never as both or neither. A statement that takes
    longer than ``seconds`` fails with ``OperationalError``."""
    outermost = not connection.in_atomic_block
    with transaction.atomic(), connection.cursor() as cursor:
        if outermost:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        if seconds is not None:
            cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{int(seconds * 1000)}ms"])
        yield


def whole(
    names: Sequence[str], since: datetime, until: datetime | None = None, only: Only = EVERYTHING, keep: Sequence[str] = ()
) -> Figures:
    """Everything counted of these metrics, to the minute for two days back, to the hour for sixty. ``keep``: labels (table, caller) that
    are told apart, at the price of reading each series. Call it within ``one_moment``."""
    places = _Places(names, only, keep)
    found = Figures()
    end = ceiling(until or timezone.now() + timedelta(minutes=1), LENGTHS[MINUTE if until else DAY])
    for part in cover(since, end, _resolutions(since)):
        for slice_ in _read(places, part, part.end - part.start, part.start).values():
            _pour(slice_, found)
    first = floor(since, LENGTHS[_resolutions(since)[-1]])
    for _, labels, amount, sketch in _waiting(places, first, end):
        _put(found, labels, amount, sketch)
    return found


def steps(names: Sequence[str], since: datetime, until: datetime, step: timedelta, only: Only = EVERYTHING) -> list[Slice]:
    """The figures of each step from the one that holds ``since`` to the one before ``until``, empty ones included. A step is a whole
    number of minutes, hours or days. Call it within ``one_moment``."""
    places = _Places(names, only, ())
    start, end = floor(since, step), ceiling(until, step)
    part = Part(_made_of(step), start, end)
    found = _read(places, part, step, start)
    for at, labels, amount, sketch in _waiting(places, start, end):
        _put(found.setdefault(start + (at - start) // step * step, Figures()), labels, amount, sketch)
    count = round((end - start) / step)
    return [Slice(start + n * step, found.get(start + n * step) or Figures()) for n in range(count)]


def values_of(label: str, metric: str = "mendgate_writes_total") -> list[str]:
    """Every value of a label that a metric was ever counted with, in order."""
    place = METRICS[metric].labels.index(label)
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT labels ->> %s FROM metrics_series WHERE name = %s ORDER BY 1", [place, metric])
        return [value for (value,) in cursor.fetchall() if value]


class _Places:
    """The stored series that are asked for, each with the labels that it is counted under: all but the table and caller."""

    def __init__(self, names: Iterable[str], only: Only, keep: Sequence[str]) -> None:
        self.only, self.keep = only, tuple(keep)
        self.wanted = {self._name(name): name for name in names}
        self.places: list[Labels] = []
        self.series: list[int] = []
        self.of: list[int] = []
        index: dict[Labels, int] = {}
        for pk, name, labels in self._rows():
            place = self.place((self.wanted[name], *labels))
            if place is not None:
                if place not in index:
                    index[place] = len(self.places)
                    self.places.append(place)
                self.series.append(pk)
                self.of.append(index[place])

    def place(self, labels: Labels) -> Labels | None:
        """Where a plain series counts; None where it is not asked for."""
        name, kinds = labels[0], METRICS[labels[0]].labels
        if name not in self.wanted.values():
            return None
        for kind, value in zip(kinds, labels[1:], strict=True):
            if kind in WIDE and getattr(self.only, kind) not in ("", value):
                return None
        return (name, *("" if kind in WIDE and kind not in self.keep else value for kind, value in zip(kinds, labels[1:], strict=True)))

    def _name(self, name: str) -> str:
        told_apart = any(label in METRICS[name].labels for label in WIDE if getattr(self.only, label) or label in self.keep)
        return name if told_apart else stored(name)

    def _rows(self) -> Iterable[tuple[int, str, list[str]]]:
        asked = Q()
        for stored_as, name in self.wanted.items():
            narrowed = Q(name=stored_as)
            for place, label in enumerate(METRICS[name].labels if stored_as == name else ()):
                if label in WIDE and getattr(self.only, label):
                    narrowed &= Q(**{f"labels__{place}": getattr(self.only, label)})
            asked |= narrowed
        return Series.objects.filter(asked).values_list("pk", "name", "labels")


def _read(places: _Places, part: Part, step: timedelta, origin: datetime) -> dict[datetime, Figures]:
    """The points of one part, added up by step."""
    found: dict[datetime, Figures] = {}
    if not places.series:
        return found
    asked: list[Any] = [step, origin, places.series, places.of, part.resolution, part.start, part.end]
    with connection.cursor() as cursor:
        cursor.execute(_SUMS, asked)
        for at, place, amount in cursor.fetchall():
            found.setdefault(at, Figures()).add(places.places[place], amount)
        cursor.execute(_SKETCHES, asked)
        for at, place, text in cursor.fetchall():
            found.setdefault(at, Figures()).merge(places.places[place], load(msgspec.json.decode(text)))
    return found


def _waiting(places: _Places, since: datetime, until: datetime) -> Iterator[tuple[datetime, Labels, float, Sketch | None]]:
    """What was flushed and is in no point yet."""
    for at, body in Flush.objects.filter(at__gte=since, at__lt=until).values_list("at", "body"):
        for labels, amount in body["counters"]:
            place = places.place(tuple(labels)) if labels[0] in METRICS else None
            if place is not None:
                yield at, place, amount, None
        for labels, sketch in body["sketches"]:
            place = places.place(tuple(labels)) if labels[0] in METRICS else None
            if place is not None:
                yield at, place, 0.0, load(sketch)


def _put(found: Figures, labels: Labels, amount: float, sketch: Sketch | None) -> None:
    if sketch is None:
        found.add(labels, amount)
    else:
        found.merge(labels, sketch)


def _pour(some: Figures, into: Figures) -> None:
    for labels, amount in some.counters():
        into.add(labels, amount)
    for labels, sketch in some.sketches():
        into.merge(labels, sketch)


def _resolutions(since: datetime) -> tuple[str, ...]:
    """Those that still hold everything since then, the coarsest first."""
    age = timezone.now() - since
    return tuple(r for r in COARSEST_FIRST if r == DAY or age < _kept(r))


def _made_of(step: timedelta) -> str:
    """The coarsest resolution that a step is a whole number of: a finer one may be forgotten already."""
    return next((r for r in COARSEST_FIRST if step % LENGTHS[r] == timedelta(0)), MINUTE)


def _kept(resolution: str) -> timedelta:
    return next(kept for name, kept in KEPT.items() if name == resolution) - timedelta(hours=1)
