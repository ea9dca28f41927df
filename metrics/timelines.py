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
from metrics.core.names import METRICS, is_known
from metrics.core.sketch import Sketch, load
from metrics.models import Flush, Series
from metrics.store import KEPT

_POINTS = """FROM unnest(%s::bigint[], %s::int[]) AS m(series, place)
    CROSS JOIN unnest(%s::text[], %s::timestamptz[], %s::timestamptz[]) AS part(resolution, start, until)
    CROSS JOIN LATERAL (SELECT at, amount, sketch FROM metrics_point WHERE series_id = m.series AND resolution = part.resolution
        AND at >= part.start AND at < part.until OFFSET 0) AS p"""
"""A fence, for each series by its index: without it the planner reads millions of points of all series rather than probe for some."""
_SUMS = f"SELECT date_bin(%s, p.at, %s), m.place, sum(p.amount) {_POINTS} WHERE p.sketch IS NULL GROUP BY 1, 2"
_SKETCHES = f"SELECT date_bin(%s, p.at, %s), m.place, p.sketch::text {_POINTS} WHERE p.sketch IS NOT NULL"


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
_AGE = timedelta(days=36_500)


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


def asked(names: Iterable[str], only: Only = EVERYTHING, keep: Sequence[str] = ()) -> Places:
    """The series of these metrics, for several questions about them. ``keep``: labels (table, caller) that are told apart, at the price
    of reading each series. Call it, and what uses it, within one ``one_moment``."""
    return Places(names, only, keep)


def whole(places: Places, since: datetime, until: datetime | None = None) -> Figures:
    """Everything counted, to the minute for two days back, to the hour for sixty."""
    end = ceiling(until or timezone.now() + timedelta(minutes=1), LENGTHS[MINUTE if until else DAY])
    resolutions = _resolutions(since)
    start = floor(since, LENGTHS[resolutions[-1]])
    found = _read(places, cover(since, end, resolutions), _AGE, start).get(start) or Figures()
    for _, labels, amount, sketch in _waiting(places, start, end):
        _put(found, labels, amount, sketch)
    return found


def steps(places: Places, since: datetime, until: datetime, step: timedelta) -> list[Slice]:
    """The figures of each step from the one that holds ``since`` to the one before ``until``, empty ones included. A step is a whole
    number of minutes, hours or days."""
    start, end = floor(since, step), ceiling(until, step)
    found = _read(places, [Part(_made_of(step), start, end)], step, start)
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


class Places:
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
        if not is_known(labels):
            return None
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


def _read(places: Places, parts: list[Part], step: timedelta, origin: datetime) -> dict[datetime, Figures]:
    """The points of these parts, added up by step."""
    found: dict[datetime, Figures] = {}
    if not places.series:
        return found
    bounds = [[part.resolution for part in parts], [part.start for part in parts], [part.end for part in parts]]
    values: list[Any] = [step, origin, places.series, places.of, *bounds]
    with connection.cursor() as cursor:
        cursor.execute(_SUMS, values)
        for at, place, amount in cursor.fetchall():
            found.setdefault(at, Figures()).add(places.places[place], amount)
        cursor.execute(_SKETCHES, values)
        for (at, place), sketch in _merged(cursor.fetchall()).items():
            found.setdefault(at, Figures()).merge(places.places[place], sketch)
    return found


def _merged(rows: Iterable[tuple[datetime, int, str]]) -> dict[tuple[datetime, int], Sketch]:
    """Sketches of one step and place as one."""
    found: dict[tuple[datetime, int], Sketch] = {}
    for at, place, text in rows:
        fresh = load(msgspec.json.decode(text))
        known = found.setdefault((at, place), fresh)
        if known is not fresh:
            known.merge(fresh)
    return found


def _waiting(places: Places, since: datetime, until: datetime) -> Iterator[tuple[datetime, Labels, float, Sketch | None]]:
    """What was flushed and is in no point yet."""
    for at, body in Flush.objects.filter(at__gte=since, at__lt=until).values_list("at", "body"):
        for labels, amount in body["counters"]:
            place = places.place(tuple(labels))
            if place is not None:
                yield at, place, amount, None
        for labels, sketch in body["sketches"]:
            place = places.place(tuple(labels))
            if place is not None:
                yield at, place, 0.0, load(sketch)


def _put(found: Figures, labels: Labels, amount: float, sketch: Sketch | None) -> None:
    if sketch is None:
        found.add(labels, amount)
    else:
        found.merge(labels, sketch)


def _resolutions(since: datetime) -> tuple[str, ...]:
    """Those that still hold everything since then, the coarsest first."""
    age = timezone.now() - since
    return tuple(r for r in COARSEST_FIRST if r == DAY or age < _kept(r))


def _made_of(step: timedelta) -> str:
    """The coarsest resolution that a step is a whole number of: a finer one may be forgotten already."""
    return next((r for r in COARSEST_FIRST if step % LENGTHS[r] == timedelta(0)), MINUTE)


def _kept(resolution: str) -> timedelta:
    return next(kept for name, kept in KEPT.items() if name == resolution) - timedelta(hours=1)
