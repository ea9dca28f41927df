"""Observations on their way to figures, on a real database: counted once, whatever is cut off, killed or forked."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone
from psycopg.conninfo import make_conninfo

from metrics import recorder as recording
from metrics import store, timelines
from metrics.core.count import Tally
from metrics.core.observation import Asked, JobRan, SchemaMoved, Wrote
from metrics.models import Flush, Point, Resolution, Series
from metrics.recorder import Recorder
from metrics.sink import Sink
from tests.waiting import HANGS

pytestmark = pytest.mark.django_db(transaction=True)
WROTE = Wrote("public.a", "insert", "shop", "healthy", 0.02)


def dsn() -> str:
    wanted = ("host", "port", "user", "password", "dbname")
    return make_conninfo(**{name: value for name, value in connection.get_connection_params().items() if name in wanted})


@pytest.fixture
def sink() -> Iterator[Sink]:
    sink = Sink(dsn())
    yield sink
    sink.close()


def writes() -> float:
    return store.figures(timezone.now() - timedelta(hours=1)).total("mendgate_writes_total")


def recorder_with(sink: recording.Sink) -> Recorder:
    recorder = Recorder()
    recorder.connect(sink)
    return recorder


def test_observations_are_figures_before_and_after_they_are_ingested(sink: Sink):
    recorder = recorder_with(sink)
    for _ in range(7):
        recorder.observe(WROTE)
    assert recorder.flush()
    assert writes() == 7
    assert store.ingest() == 1 and not Flush.objects.exists()
    assert writes() == 7 and store.ever().total("mendgate_writes_total") == 7
    recorder.observe(WROTE)
    recorder.flush()
    store.ingest()
    assert writes() == 8
    assert store.figures(timezone.now() - timedelta(hours=1)).sketch("mendgate_write_seconds").count == 8
    assert Point.objects.filter(series__name="mendgate_writes_total").count() in (4, 5), "one a resolution; a minute may have ended"


def test_a_flush_whose_answer_was_lost_counts_once(sink: Sink):
    calls = []

    def cut(boot: str, number: int, body: str) -> None:
        sink(boot, number, body)
        calls.append(number)
        if len(calls) == 1:
            raise OSError("cut off after the commit")

    recorder = recorder_with(cut)
    recorder.observe(WROTE)
    assert not recorder.flush()
    recorder.observe(WROTE)
    assert recorder.flush()
    assert calls == [0, 0, 1]
    store.ingest()
    assert writes() == 2


def test_what_cannot_be_stored_waits_and_is_merged(sink: Sink):
    recorder = recorder_with(Sink("host=127.0.0.1 port=1 dbname=none"))
    for _ in range(3):
        recorder.observe(WROTE)
        assert not recorder.flush()
    recorder.connect(sink)
    assert recorder.flush() and writes() == 3


def test_a_full_buffer_drops_and_says_how_many(sink: Sink, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recording, "MOST", 10)
    recorder = recorder_with(sink)  # after the bound was set
    for _ in range(25):
        recorder.observe(WROTE)
    recorder.flush()
    found = store.figures(timezone.now() - timedelta(hours=1))
    assert found.total("mendgate_writes_total") == 10 and found.total("mendgate_observations_dropped_total") == 15


def test_a_bad_observation_does_not_take_the_others_along(sink: Sink):
    recorder = recorder_with(sink)
    recorder.observe("nonsense")  # type: ignore[arg-type]
    recorder.observe(WROTE)
    assert recorder.flush() and writes() == 1


def test_the_thread_flushes_and_stop_flushes_the_rest(sink: Sink, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recording, "COUNT_EVERY", 0.02)
    monkeypatch.setattr(recording, "FLUSH_EVERY", 0.04)
    recorder = Recorder()
    recorder.connect(sink)
    recorder.start()
    recorder.observe(WROTE)
    until = time.monotonic() + HANGS
    while not Flush.objects.exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert writes() == 1
    recorder.observe(WROTE)
    recorder.stop()
    assert writes() == 2 and recorder._thread is None


def test_many_series_are_flushed_less_often():
    """Where callers are many, series are."""
    assert [recording.flush_after(series) for series in (20, 12_000, 1_000_000)] == [5.0, 12.0, 30.0]


def test_a_forked_process_counts_its_own_only(sink: Sink):
    recorder = recorder_with(sink)
    recorder.observe(WROTE)
    child = os.fork()
    if child == 0:
        try:
            recorder.after_fork()
            recorder.connect(Sink(dsn()))
            recorder.observe(WROTE)
            recorder.flush()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    recorder.flush()
    assert Flush.objects.count() == 2 and writes() == 2
    assert Flush.objects.values("boot").distinct().count() == 2


def test_two_ingest_at_once_and_nothing_counts_twice(sink: Sink):
    for _ in range(60):
        sink(str(uuid4()), 0, '{"counters":[[["mendgate_schema_changes_total","info"],1]],"sketches":[]}')

    def run() -> None:
        try:
            store.ingest()
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.ingest()
    assert store.ever().total("mendgate_schema_changes_total") == 60


def test_series_that_this_version_does_not_know_are_left_out(sink: Sink):
    sink(str(uuid4()), 0, '{"counters":[[["from_the_future","x"],1]],"sketches":[]}')
    assert store.figures(timezone.now() - timedelta(hours=1)).total("mendgate_writes_total") == 0
    assert store.ingest() == 1 and not Series.objects.exists()


def test_series_with_other_labels_than_today_are_left_out(sink: Sink):
    """As a version before or after this one may count them; everything else is read and ingested as ever."""
    Series.objects.create(name="mendgate_jobs_total", labels=["sweep"]).points.create(resolution="m", at=timezone.now(), amount=3)
    sink(str(uuid4()), 0, '{"counters":[[["mendgate_writes_total","public.a","insert","healthy"],1],'
         '[["mendgate_schema_changes_total","info"],1]],"sketches":[]}')  # fmt: skip

    def counted() -> float:
        since = timezone.now() - timedelta(hours=1)
        names = ("mendgate_writes_total", "mendgate_schema_changes_total", "mendgate_jobs_total")
        found = timelines.whole(timelines.asked(names), since)
        assert (found.total("mendgate_writes_total"), found.total("mendgate_jobs_total")) == (0, 0)
        figures = store.figures(since)
        assert (figures.total("mendgate_writes_total"), figures.total("mendgate_jobs_total")) == (0, 0)
        return found.total("mendgate_schema_changes_total")

    assert counted() == 1
    assert store.ingest() == 1 and counted() == 1


def test_what_no_json_or_index_holds_does_not_stop_the_rest(sink: Sink, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recording, "COUNT_EVERY", 0.02)
    monkeypatch.setattr(recording, "FLUSH_EVERY", 0.04)
    recorder = recorder_with(sink)
    recorder.start()
    long = "".join(chr(0x4E00 + n * 7919 % 20000) for n in range(10_000))
    for table in ("nul\x00", "half\ud800", long, "public.a"):
        recorder.observe(Wrote(table, "insert", "shop", "healthy", 0.02))
    for cost in (float("nan"), float("inf"), 0.5):
        recorder.observe(Asked("m", "p", "edge", "ok", 0.1, cost=cost))
    recorder.observe(Asked("m2", "p", "edge", "ok", 0.1, cost=0.5))
    until = time.monotonic() + HANGS
    while writes() < 4 and time.monotonic() < until:
        time.sleep(0.02)
    recorder.stop()
    assert writes() == 4
    store.ingest()
    assert writes() == 4
    assert store.figures(timezone.now() - timedelta(hours=1)).total("mendgate_ai_cost_dollars_total", model="m2") == 0.5


def test_the_thread_outlives_a_fault(sink: Sink, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recording, "COUNT_EVERY", 0.02)
    monkeypatch.setattr(recording, "FLUSH_EVERY", 0.04)
    recorder, body = recorder_with(sink), recording._body
    faults = iter([ValueError("no body")])

    def breaks_once(tally: Tally) -> str:
        for fault in faults:
            raise fault
        return body(tally)

    monkeypatch.setattr(recording, "_body", breaks_once)
    recorder.start()
    until = time.monotonic() + HANGS
    while not writes() and time.monotonic() < until:
        recorder.observe(WROTE)
        time.sleep(0.02)
    recorder.stop()
    assert writes() >= 1


def test_the_resolution_follows_the_age_and_old_points_are_pruned(sink: Sink):
    now = timezone.now()
    assert store.resolution_for(now - timedelta(hours=24)) == Resolution.MINUTE
    assert store.resolution_for(now - timedelta(days=7)) == Resolution.HOUR
    assert store.resolution_for(now - timedelta(days=90)) == Resolution.DAY
    recorder = recorder_with(sink)
    recorder.observe(SchemaMoved("critical", 3))
    recorder.observe(JobRan("sweep", True, 0.1))
    recorder.flush()
    Flush.objects.update(at=now - timedelta(days=3))
    store.ingest()
    assert store.prune() > 0 and not Point.objects.filter(resolution=Resolution.MINUTE).exists()
    assert store.figures(now - timedelta(days=7)).total("mendgate_schema_changes_total") == 3
    assert store.ever().sketch("mendgate_job_seconds").count == 1


def test_the_first_observation_starts_the_thread_where_that_is_asked(sink: Sink):
    recorder = Recorder()
    recorder.connect(sink, starts=True)
    assert recorder._thread is None
    recorder.observe(WROTE)
    assert recorder._thread is not None
    recorder.stop()
    assert writes() == 1


def test_off_observes_nothing(sink: Sink):
    recorder = recorder_with(sink)
    recorder.observe(WROTE)
    recorder.off()
    recorder.observe(WROTE)
    recorder.start()
    assert recorder._thread is None and recorder._seen == deque()


def test_sources_are_asked_before_each_flush_and_a_broken_one_stops_nothing(sink: Sink):
    recorder = recorder_with(sink)
    left = [WROTE, WROTE]

    def broken() -> list[Wrote]:
        raise OSError

    def source() -> list[Wrote]:
        found, left[:] = list(left), []
        return found

    for _ in range(2):
        recorder.asks(broken)
        recorder.asks(source)
    assert recorder.flush() and recorder.flush() and writes() == 2
