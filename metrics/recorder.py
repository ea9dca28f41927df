"""The observations of one process: taken without waiting, counted in the background, flushed to the control database.

``observe`` costs under a microsecond: it appends to a bounded buffer, and counts what finds it full. A thread counts twice a second and
flushes every few seconds. What could not be stored is kept, merged, and sent again under the same number, so a flush whose answer was
lost is not counted twice. Free of Django.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any
from uuid import uuid4

import msgspec

from metrics.core.count import Tally
from metrics.core.observation import Observation
from metrics.core.sketch import dump

log = logging.getLogger("mendgate.metrics")

MOST = 50_000
"""Observations held between two counts."""
MOST_LABEL = 300
"""Characters of a label: two names of Postgres, 63 bytes each, and a dot are far below; the rest is cut off."""
MOST_AMOUNT = 1e15
COUNT_EVERY = 0.5
FLUSH_EVERY = 5.0
SERIES_A_SECOND, FLUSH_WITHIN = 1_000, 30.0
"""Where callers are many, series are: then flushes are rarer, so that no more than so many series a second are stored, but at least one in
so many seconds."""

Sink = Callable[[str, int, str], None]
"""Stores (boot, number, body as JSON) durably, once per (boot, number); raises where it cannot."""


class Recorder:
    """One a process. Observations wait until they are flushed."""

    def __init__(self) -> None:
        self._seen: deque[Observation] = deque()
        self._dropped = 0
        self._sources: list[Callable[[], Iterable[Observation]]] = []
        self._most = MOST
        self._starts = False
        self._counting = threading.Lock()
        self._reset()

    def _reset(self) -> None:
        self._tally = Tally()
        self._boot, self._number = str(uuid4()), 0
        self._pending: str | None = None
        self._sink: Sink | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def observe(self, seen: Observation) -> None:
        """Takes note. Never waits, never raises."""
        if len(self._seen) < self._most:
            self._seen.append(seen)
        else:
            self._dropped += 1
        if self._starts and self._thread is None:
            self.start()

    def asks(self, source: Callable[[], Iterable[Observation]]) -> None:
        """Asks ``source`` before each flush what it has counted by itself. To say it twice changes nothing."""
        if source not in self._sources:
            self._sources.append(source)

    def off(self) -> None:
        """Observes nothing from here on."""
        self._most = 0
        self._seen.clear()

    def connect(self, sink: Sink, *, starts: bool = False) -> None:
        """Says where flushes go: when ``flush`` is called, and by themselves after ``start`` (``starts``: at the first observation)."""
        self._sink, self._starts = sink, starts

    def start(self) -> None:
        """Flushes in the background from here on."""
        self._starts = False
        if self._thread is None and self._most:
            self._stop.clear()
            self._thread = threading.Thread(target=self._run, args=(self._stop,), name="metrics", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Flushes what is left and ends the thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stop.set()
            thread.join(timeout=3)
        self.flush()

    def flush(self) -> bool:
        """Stores everything that was observed so far; whether that worked. Also for processes that end at once, as a job's does."""
        if not self._most:
            return True
        with self._counting:
            self._ask()
            self._count()
            while self._pending is not None or self._tally:
                if not self._send():
                    return False
            return True

    def _run(self, stop: threading.Event) -> None:
        rounds = 0
        while not stop.wait(COUNT_EVERY):
            rounds += 1
            try:
                if rounds * COUNT_EVERY >= flush_after(self._tally.size):
                    rounds = 0
                    self.flush()
                else:
                    with self._counting:
                        self._count()
            except Exception:  # a thread that ended would count nothing any more, and the buffer would fill
                log.exception("counting failed")

    def _ask(self) -> None:
        for source in self._sources:
            try:
                for seen in source():
                    self.observe(seen)
            except Exception:
                log.exception("a source of observations failed")

    def _count(self) -> None:
        tally, seen = self._tally, self._seen
        faults = tally.observe_all([seen.popleft() for _ in range(len(seen))])
        if faults:
            log.error("%s observations could not be counted", len(faults), exc_info=faults[0])
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            tally.add(dropped, "mendgate_observations_dropped_total")

    def _send(self) -> bool:
        """Sends one numbered body; a body that may have arrived is sent again as it was."""
        if self._sink is None:
            return False
        if self._pending is None:
            tally, self._tally = self._tally, Tally()
            self._pending = _body(tally)
        try:
            self._sink(self._boot, self._number, self._pending)
        except Exception as error:
            log.debug("the counts could not be stored, they wait: %s", error)
            return False
        self._pending, self._number = None, self._number + 1
        return True

    def after_fork(self) -> None:
        """A forked process begins anew: what the parent has counted is the parent's."""
        sink, starts = self._sink, self._starts or self._thread is not None
        self._seen.clear()
        self._dropped, self._counting = 0, threading.Lock()
        self._reset()
        self._sink, self._starts = sink, starts


def _body(tally: Tally) -> str:
    """As JSON that Postgres takes. What is no number, or too large for one, is left out: it would keep everything else from being read."""
    body: dict[str, Any] = {
        "counters": [[_labels(series), amount] for series, amount in tally.counters.items() if _counts(amount)],
        "sketches": [[_labels(series), dump(sketch)] for series, sketch in tally.sketches.items() if _counts(sketch.total)],
    }
    return msgspec.json.encode(body).decode()


def flush_after(series: int) -> float:
    """Seconds between two flushes of so many series.

    >>> flush_after(20), flush_after(12_000), flush_after(1_000_000)
    (5.0, 12.0, 30.0)
    """
    return max(FLUSH_EVERY, min(series / SERIES_A_SECOND, FLUSH_WITHIN))


def _counts(amount: float) -> bool:
    """Neither nothing nor endless: JSON has no word for those."""
    return -MOST_AMOUNT < amount < MOST_AMOUNT


def _labels(series: tuple[str, ...]) -> list[str]:
    """Texts that JSON, Postgres and an index over them can hold."""
    return [label if len(label) <= MOST_LABEL and label.isascii() and "\x00" not in label else _sound(label) for label in series]


def _sound(label: str) -> str:
    return label[:MOST_LABEL].replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


recorder = Recorder()
observe = recorder.observe

os.register_at_fork(after_in_child=recorder.after_fork)
atexit.register(recorder.stop)
