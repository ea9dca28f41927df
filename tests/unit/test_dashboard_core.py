"""The dashboard's pure parts: every write has one fate, stretches are covered once, nothing is said that is not so."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healing.dashboard import flow, made_of, said, spark
from healing.dashboard.csv_text import csv_text
from healing.dashboard.lanes import stretches
from metrics.core.count import Tally
from metrics.core.cover import LENGTHS, cover
from metrics.core.figures import Figures
from metrics.core.fold import folded, stored
from metrics.core.names import METRICS
from metrics.core.observation import Replayed, Wrote
from metrics.core.summary import NUMBERS

MOMENTS = st.integers(0, 730 * 1440).map(lambda minutes: datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes))
OUTCOMES = st.sampled_from(["healthy", "healed", "kept", "refused", "failed"])
HEALS = st.lists(
    st.tuples(st.just("cast"), st.sampled_from(["lineage", "builtin", "person", "learned", "matcher", "ai"])), min_size=1, max_size=3
)


def counted(tally: Tally) -> Figures:
    figures = Figures()
    for series, amount in tally.counters.items():
        figures.add(series, amount)
    return figures


@given(st.lists(st.tuples(OUTCOMES, HEALS), min_size=1, max_size=60), st.integers(0, 9))
def test_every_write_is_in_exactly_one_band_of_the_flow(writes: list[tuple[str, list[tuple[str, str]]]], landed: int) -> None:
    tally = Tally()
    for outcome, heals in writes:
        tally.observe(Wrote("t", "insert", "c", outcome, 0.1, 1, tuple(set(heals)) if outcome == "healed" else ()))  # type: ignore[arg-type]
    for _ in range(landed):
        tally.observe(Replayed("t", "landed"))
    stages = flow.stages(counted(tally))
    assert sum(stage.count for stage in stages) == len(writes) and all(stage.count > 0 for stage in stages)
    picture = flow.draw(stages)
    assert picture.total == sum(end.count for end in picture.ends) == len(writes)
    assert sum(box.height for box in picture.boxes) == pytest.approx(picture.sent.height, abs=1)
    assert all(box.y >= 0 and box.y + box.height <= flow.HEIGHT for box in (*picture.boxes, *picture.ends, picture.sent))


@given(MOMENTS, MOMENTS)
def test_a_stretch_is_covered_once_by_whole_points(one: datetime, other: datetime) -> None:
    since, until = min(one, other), max(one, other)
    parts = cover(since, until)
    assert all(a.end == b.start for a, b in pairwise(parts))
    assert not parts or (parts[0].start, parts[-1].end) == (since, until)
    assert all((part.end - part.start) % LENGTHS[part.resolution] == timedelta(0) for part in parts)
    assert sum((part.end - part.start) // LENGTHS[part.resolution] for part in parts if part.resolution == "m") < 120


@given(st.lists(st.lists(st.one_of(st.text(), st.integers(), st.floats(allow_nan=False), st.none()), min_size=2, max_size=2)))
def test_no_cell_of_a_csv_is_a_formula(rows: list[list[str | int | float | None]]) -> None:
    read = list(csv.reader(io.StringIO(csv_text(["a", "b"], rows), newline="")))
    assert len(read) == len(rows) + 1
    for row, line in zip(rows, read[1:], strict=True):
        for value, cell in zip(row, line, strict=True):
            assert not isinstance(value, str) or not cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r"))


@given(st.floats(0, 1))
def test_a_share_is_never_rounded_to_certainty(share: float) -> None:
    text = said.said(share, "share")
    assert (text == "100 %") == (share == 1) and (text == "0 %") == (share == 0)


def test_a_change_says_whether_it_is_good() -> None:
    success, cost = (next(n for n in NUMBERS if n.name == name) for name in ("healing_success_rate", "ai_cost"))
    assert said.change(success, 0.99, 0.98) == ("+1 points", "better") and said.change(success, 0.9, 0.95)[1] == "worse"
    assert said.change(cost, 2.0, 1.0) == ("+$1.00", "worse") and said.change(cost, 1.0, None) == said.change(cost, 1.0, 1.0) == ("", "")


def test_a_trend_breaks_where_nothing_is_known() -> None:
    assert spark.draw([1, None, 2, 3]).path.count("M") == 2 and spark.draw([None, None]).path == ""
    assert spark.draw([0.98, 0.99], 0.99).goal is not None and spark.draw([0.1, 0.11], 0.99).goal is None


def test_a_number_names_the_metrics_it_is_made_of() -> None:
    assert all(made_of.made_of(number) and set(made_of.made_of(number)) <= METRICS.keys() for number in NUMBERS)


def test_sums_keep_every_label_but_table_and_caller() -> None:
    for name, metric in METRICS.items():
        series = (name, *metric.labels)
        fold = folded(series)
        assert (fold[0] if fold else name) == stored(name)
        assert fold is None or fold[1:] == tuple("" if label in ("table", "caller") else label for label in metric.labels)


def test_a_breaker_is_drawn_where_it_was_not_closed() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    at = [start + timedelta(minutes=n) for n in range(5)]
    story = [(start - timedelta(hours=1), "open", "a"), (at[1], "half_open", "b"), (at[2], "closed", "c"), (at[3], "open", "d")]
    found = [(bar.start, bar.end, bar.state) for bar in stretches("x", story, start, at[4])]
    assert found == [(start, at[1], "open"), (at[1], at[2], "half-open"), (at[3], at[4], "open")]
