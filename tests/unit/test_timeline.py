"""The timeline's parts that need no database: what followed from what, the stretch of time, the picture."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from healing.timeline import span
from healing.timeline.event import Event, Link
from healing.timeline.links import families, links, named
from healing.timeline.picture import LEFT, RIGHT, WIDTH, draw

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
USERS = ("public", "users")
DAY = span.read("24h", "", "", NOON)


def event(id: str, lane: str, minutes: float = 0, place: tuple[str, str] = USERS, **more: Any) -> Event:
    facts = {"kind": lane, "sentence": id, "link": f"/{id}", "word": lane, "state": lane, **more}
    return Event(id, lane, at=NOON - timedelta(hours=12) + timedelta(minutes=minutes), place=place, **facts)


def removed(id: str, minutes: float, *names: str, **more: Any) -> Event:
    return event(id, "critical", minutes, kind="column_removed", breaks=True, names=frozenset(names), **more)


def kept(id: str, minutes: float, cause: str, **more: Any) -> Event:
    return event(id, "kept", minutes, cause=cause, **more)


def test_a_kept_write_follows_from_the_latest_change_that_its_misfit_names() -> None:
    events = [removed("a", 0, "nick"), removed("b", 5, "nick"), removed("c", 6, "mail"), kept("k", 9, "unknown_column:nick")]
    assert links(events) == (Link("b", "k"),)


@pytest.mark.parametrize(
    "innocent",
    [
        removed("a", 20, "nick"),  # later
        removed("a", 0, "mail"),  # about another column
        removed("a", 0, "nick", place=("public", "orders")),
        event("a", "low", 0, names=frozenset({"nick"})),  # breaks nobody
    ],
)
def test_what_cannot_be_the_cause_is_not_linked(innocent: Event) -> None:
    assert links([innocent, kept("k", 9, "unknown_column:nick")]) == ()


def test_a_write_that_came_a_moment_before_its_change_was_captured_is_linked() -> None:
    assert links([removed("a", 9.02, "nick"), kept("k", 9, "unknown_column:nick")]) == (Link("a", "k"),)


def test_renamed_relations_are_one_family() -> None:
    renames = [(("public", "users"), ("public", "people")), (("public", "people"), ("crm", "persons"))]
    assert len({families(renames)[p] for p in families(renames)} | {("crm", "persons")}) == 1
    late = kept("k", 9, "unknown_column:nick", place=("crm", "persons"))
    assert links([removed("a", 0, "nick"), late], renames) == (Link("a", "k"),)


def test_names_that_go_back_and_forth_end() -> None:
    a, b = ("public", "a"), ("public", "b")
    assert families([(a, b), (b, a), (a, b)]) == {a: b}


def test_a_removed_label_is_known_by_its_text_in_any_table() -> None:
    gone = event("a", "critical", kind="label_removed", place=("public", "mood"), names=frozenset({"sad", "mood"}), breaks=True)
    assert links([gone, kept("k", 9, "unknown_label:feeling=sad")]) == (Link("a", "k"),)
    assert links([gone, kept("k", 9, "unknown_column:sad")]) == ()


def test_rules_follow_from_what_they_mend_and_replays_from_their_rule() -> None:
    rule = event("r1", "rule", 20, kind="approved", cause="unknown_column:nick")
    early = event("r0", "rule", 1, kind="approved", cause="unknown_column:nick")
    replay = event("p", "replay", 21, parent="r1")
    events = [kept("k", 9, "unknown_column:nick"), rule, early, replay, event("q", "replay", 22, parent="elsewhere")]
    assert set(links(events)) == {Link("k", "r1"), Link("r1", "p")}


def test_the_names_in_a_signature() -> None:
    assert named("missing_value:a + unknown_label:status=Happy") == {"a", "status=Happy", "status", "Happy"}
    assert named("unknown_table") == frozenset()


def test_a_stretch_of_time_is_read_from_the_url_and_never_empty() -> None:
    assert span.read("", "", "", NOON).preset == "24h"
    assert span.read("bad", "x", "y", NOON).preset == "24h"
    assert span.read("", "2026-11-22T10:00", "2026-11-22T09:00", NOON).length == timedelta(hours=1)
    assert span.read("", "2026-11-22T10:00", "2026-11-22T10:00", NOON).length == span.SHORTEST
    assert span.read("", "2026-11-22T10:00+02:00", "", NOON).start.hour == 8
    assert span.read("", "0001-01-01", "9999-12-31", NOON).preset == "24h"


@pytest.mark.parametrize("seconds", [10, 59, 600, 86_400, 30 * 86_400, 40 * 365 * 86_400])
def test_there_are_some_round_ticks_whatever_the_length(seconds: int) -> None:
    ticks = span.Span(NOON - timedelta(seconds=seconds), NOON).ticks()
    assert 1 <= len(ticks) <= 41
    assert all(0 <= part <= 1 and word for part, word in ticks)


def test_earlier_and_later_meet_the_stretch() -> None:
    assert DAY.earlier()["to"] == DAY.start.strftime("%Y-%m-%dT%H:%M:%S")
    assert DAY.later()["from"] == DAY.end.strftime("%Y-%m-%dT%H:%M:%S")


def test_marks_that_lie_too_close_are_one_with_a_count() -> None:
    picture = draw([kept("a", 0, "x", count=40), kept("b", 1, "x", count=2), kept("c", 300, "x")], [], DAY)
    assert [(m.count, m.ids, m.several) for m in picture.marks] == [(42, ("a", "b"), True), (1, ("c",), False)]
    assert picture.marks[0].label == "42"


def test_every_mark_lies_within_the_picture_and_its_chain_is_known() -> None:
    events = [
        removed("a", -720, "n"),
        kept("k", 0, "unknown_column:n"),
        event("r", "rule", 719.99, kind="approved", cause="unknown_column:n"),
    ]
    picture = draw(events, links(events), DAY)
    assert all(LEFT <= m.x <= WIDTH - RIGHT and 0 < m.y < picture.bottom and m.shape.startswith("M") for m in picture.marks)
    assert len(picture.curves) == 2
    assert {m.chain for m in picture.marks} == {"m0 m1 m2"}


def test_what_lasts_is_a_bar_that_ends_at_the_edge() -> None:
    long = event("p", "replay", 0, until=NOON + timedelta(days=9))
    (mark,) = draw([long], [], DAY).marks
    assert mark.x + mark.width == pytest.approx(WIDTH - RIGHT)


@pytest.mark.parametrize(("age", "preset"), [(5, "15m"), (50, "1h"), (300, "6h"), (1000, "24h"), (9999, "24h")])
def test_a_young_mendgate_is_looked_at_closely(age: int, preset: str) -> None:
    assert span.read("", "", "", NOON, NOON - timedelta(minutes=age)).preset == preset
    assert span.read("7d", "", "", NOON, NOON - timedelta(minutes=age)).preset == "7d"
