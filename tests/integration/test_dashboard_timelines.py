"""Figures over time, from real flushes: the same sums whichever way they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from metrics import store, timelines
from metrics.core.observation import Reversed, Wrote
from metrics.core.summary import summarize
from metrics.models import Flush
from metrics.timelines import Only
from tests.integration.recorded import Recording

pytestmark = pytest.mark.django_db(transaction=True)
NAMES = ("mendgate_writes_total", "mendgate_write_seconds", "mendgate_heals_total", "mendgate_reversals_total", "mendgate_healing_seconds")


@pytest.fixture
def recording() -> Iterator[Recording]:
    recording = Recording()
    yield recording
    recording.close()


@pytest.fixture
def now_and_then(recording: Recording) -> None:
    """Five hours ago, and now: two tables, two callers; half of it ingested."""
    recording.see(*[Wrote("public.a", "insert", "shop", "healthy", 0.010)] * 4, Wrote("public.b", "insert", "shop", "kept", 0.020))
    recording.flush(age=timedelta(hours=5))
    store.ingest()
    recording.see(*[Wrote("public.a", "update", "bot", "healed", 0.030, 1, (("rename_column", "lineage"),))] * 3)
    recording.see(Reversed("public.a", "lineage", "undo"))
    recording.flush()


def writes(since: timedelta, only: Only = timelines.EVERYTHING, **labels: str) -> float:
    with timelines.one_moment():
        return timelines.whole(timelines.asked(NAMES, only), timezone.now() - since).total("mendgate_writes_total", **labels)


@pytest.mark.usefixtures("now_and_then")
@pytest.mark.parametrize("ingested", [False, True])
def test_a_stretch_counts_what_was_flushed_and_what_was_ingested_once(ingested: bool):
    if ingested:
        store.ingest()
        assert not Flush.objects.exists()
    assert writes(timedelta(hours=1)) == 3
    assert writes(timedelta(hours=24)) == writes(timedelta(days=7)) == writes(timedelta(days=90)) == 8
    assert writes(timedelta(hours=24), Only(table="public.a")) == 7
    assert writes(timedelta(hours=24), Only(caller="shop")) == 5
    assert writes(timedelta(hours=24), Only("public.b", "shop"), outcome="kept") == 1
    assert writes(timedelta(hours=24), Only("public.nowhere")) == 0


@pytest.mark.usefixtures("now_and_then")
def test_the_numbers_are_those_of_the_store():
    since = timezone.now() - timedelta(hours=24)
    with timelines.one_moment():
        ours = timelines.whole(timelines.asked(NAMES), since)
    theirs = store.figures(since)
    for name in ("healing_success_rate", "wrong_heal_rate", "write_p99", "deterministic_fix_rate", "avg_healing_duration"):
        assert summarize(ours)[name] == summarize(theirs)[name] is not None, name


@pytest.mark.usefixtures("now_and_then")
def test_steps_have_no_gap_and_add_up():
    store.ingest()
    now = timezone.now()
    for step, window in (
        (timedelta(minutes=15), timedelta(hours=24)),
        (timedelta(hours=1), timedelta(days=7)),
        (timedelta(days=1), timedelta(days=30)),
    ):
        with timelines.one_moment():
            slices = timelines.steps(timelines.asked(NAMES), now - window, now, step)
        assert {b.at - a.at for a, b in pairwise(slices)} == {step}
        assert sum(s.figures.total("mendgate_writes_total") for s in slices) == 8
        assert sum(s.figures.sketch("mendgate_write_seconds").count for s in slices) == 8
        assert slices[-1].at <= now < slices[-1].at + step


@pytest.mark.usefixtures("now_and_then")
def test_tables_and_callers_are_told_apart_where_asked():
    with timelines.one_moment():
        found = timelines.whole(timelines.asked(("mendgate_writes_total",), keep=("table", "caller")), timezone.now() - timedelta(days=2))
    assert found.by("mendgate_writes_total", "table", "caller") == {
        ("public.a", "shop"): 4,
        ("public.a", "bot"): 3,
        ("public.b", "shop"): 1,
    }
    assert timelines.values_of("table") == ["public.a", "public.b"] or not store.ingest()


def test_a_slow_statement_ends_in_time():
    with pytest.raises(OperationalError), timelines.one_moment(0.05), connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(5)")
