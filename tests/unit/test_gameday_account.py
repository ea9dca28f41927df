"""How a game day judges: which tries a fault explains, which ends it does not, what is lost and what is doubled."""

from __future__ import annotations

import random
from itertools import pairwise

from healing.core.ledger import Found, Heard, Ledger
from resilience_site.gameday import kinds, plan
from resilience_site.gameday.account import Look, Part, Stretch, Try, lost_and_doubled, misreads, parts_of

STRETCHES = [Stretch("", 0, 0, 10), Stretch("worker-kill", 10, 11, 40, harmless=True), Stretch("cut", 40, 41, 100)]


def judged(*tries: Try, found: Found | None = None, make: kinds.Kind = kinds.plain) -> list[Part]:
    """Every try's request is of one kind and, unless ``found`` says otherwise, there."""
    ledger, requests = Ledger(1), {}
    for each in tries:
        if each.mark not in requests:
            requests[each.mark] = make(each.mark, 1)
            ledger.sends(each.mark, requests[each.mark].wants)
        ledger.hears(each.mark, each.heard)
    there = found or Found(rows={mark: request.wants for mark, request in requests.items()})
    return parts_of(STRETCHES, requests, tries, ledger.account(there))


def wrong(parts: list[Part]) -> list[list[str]]:
    return [part.wrong for part in parts]


def test_every_request_is_in_the_stretch_in_which_it_was_first_sent() -> None:
    parts = judged(Try("a", 5, 0.1, Heard(201)), Try("b", 41, 0.1, Heard(0)), Try("b", 41.2, 0.1, Heard(201)))
    assert [(part.requests, part.tries, part.troubled, part.ends) for part in parts] == [
        (1, 1, 0, {"committed": 1}), (0, 0, 0, {}), (1, 2, 1, {"committed": 1}),
    ]  # fmt: skip
    assert wrong(parts) == [[], [], []]
    assert parts[2].recovered == 0.1


def test_trouble_without_a_fault_or_long_after_one_is_unexplained() -> None:
    calm = judged(Try("a", 5, 0.1, Heard(503)), Try("a", 6, 0.1, Heard(201)))
    assert "while no fault was in force" in calm[0].wrong[0]
    late = judged(Try("a", 41 + 30, 0.1, Heard(0)), Try("a", 72, 0.1, Heard(201)))
    assert "while no fault was in force" in late[2].wrong[0]


def test_a_fault_that_must_not_be_felt_explains_no_trouble_of_a_write_that_needs_nothing() -> None:
    felt = judged(Try("a", 12, 0.1, Heard(503)), Try("a", 13, 0.1, Heard(201)))
    assert "must not be felt" in felt[1].wrong[0]
    assert wrong(judged(Try("a", 12, 0.1, Heard(503)), Try("a", 13, 0.1, Heard(201)), make=kinds.drifted)) == [[], [], []]
    under_way_when_the_next_began = judged(Try("a", 39.9, 0.3, Heard(0)), Try("a", 41, 0.1, Heard(201)))
    assert wrong(under_way_when_the_next_began) == [[], [], []]


def test_a_500_is_never_explained() -> None:
    assert "no fault may be answered so" in judged(Try("a", 40.5, 0.1, Heard(500)), Try("a", 41, 0.1, Heard(201)))[2].wrong[0]


def test_an_end_that_the_kind_must_not_come_to_needs_a_passing_error() -> None:
    kept = Found(waiting={"a": 1})
    assert "must not" in judged(Try("a", 5, 0.1, Heard(400, "q", "PGRST204")), found=kept)[0].wrong[0]
    assert wrong(judged(Try("a", 5, 0.1, Heard(400, "q", "57014")), found=kept)) == [[], [], []]


def test_what_a_fault_refuses_for_good_is_explained_while_it_lasts() -> None:
    revoked = [Stretch("", 0, 0, 10), Stretch("role-revoked", 10, 12, 100, refuses=frozenset({"42501"}))]
    for at, explained in ((11, True), (60, False)):
        ledger, request = Ledger(1), kinds.plain("a", 1)
        ledger.sends("a", request.wants)
        tries = [Try("a", at, 0.1, ledger.hears("a", Heard(403, None, "42501")), "permission denied")]
        parts = parts_of(revoked, {"a": request}, tries, ledger.account(Found()))
        assert (parts[1].wrong == []) is explained
        assert explained or "answered 403 42501 at 60.0 s permission denied" in parts[1].wrong[0]


def test_a_read_that_misses_a_committed_row_or_is_refused_without_a_fault_is_wrong() -> None:
    wants = {"a": {"plain": 3}}
    read = lambda at, heard, found=None: misreads(STRETCHES, wants, [Look(Try("a", at, 0.1, heard, "text"), found)])  # noqa: E731
    assert read(5, Heard(200), 3) == []
    assert "found 2 rows" in read(41, Heard(200), 2)[0]
    assert read(42, Heard(503)) == read(42, Heard(0)) == []
    assert "while no fault was in force" in read(5, Heard(0))[0]
    assert "must not be felt" in read(12, Heard(503, None, "PGRST001"))[0]
    assert "was answered 400 42703" in read(42, Heard(400, None, "42703"))[0] and "text" in read(42, Heard(400, None, "42703"))[0]
    assert "no fault may be answered so" in read(42, Heard(500))[0]


def test_lost_and_doubled_are_told_apart() -> None:
    ledger = Ledger(1)
    for mark in ("lost", "twice", "half", "both"):
        ledger.sends(mark, {"orders": 1, "items": 2})
        ledger.hears(mark, Heard(200))
    whole = {"orders": 1, "items": 2}
    found = Found(rows={"twice": {"orders": 2, "items": 2}, "half": {"orders": 1}, "both": whole}, waiting={"both": 1})
    assert lost_and_doubled(ledger.wants, found, ledger.account(found)) == (2, 2)


def test_a_plan_by_chance_is_the_same_for_a_seed_and_uses_every_fault_before_one_again() -> None:
    faults = [("a", 1.0), ("b", 2.0), ("c", 1.0)]
    first, again = (plan.by_chance(faults, 120, random.Random("x")) for _ in range(2))  # noqa: S311
    assert first == again
    assert {act.fault for act in first[:3]} == {"a", "b", "c"}
    assert all(act.at + act.lasts <= 120 for act in first)
    assert all(one.at + one.lasts < two.at for one, two in pairwise(first))
