"""The ledger says of every request whether it ended as one of the three, and as what it was told."""

from __future__ import annotations

import pytest

from healing.core.ledger import End, Found, Heard, Ledger

ONE = {"t": 1}
KEPT = Heard(400, "q-1", "PGRST204")


def told(*heard: Heard, wants: dict[str, int] = ONE) -> Ledger:
    ledger = Ledger(7)
    ledger.sends("a", wants)
    for each in heard:
        ledger.hears("a", each)
    return ledger


@pytest.mark.parametrize(
    ("heard", "found", "end"),
    [
        ([Heard(201)], Found({"a": ONE}), End.COMMITTED),
        ([Heard(), Heard(503), Heard(201)], Found({"a": ONE}), End.COMMITTED),
        ([KEPT], Found(waiting={"a": 1}), End.KEPT),
        ([Heard(202, "q-1")], Found({"a": ONE}, replayed={"a": 1}), End.COMMITTED),
        ([Heard(503), Heard(503)], Found(), End.REFUSED),
        ([Heard(409, code="23505")], Found(), End.REFUSED),
        ([Heard()], Found(), End.REFUSED),
        ([Heard()], Found({"a": ONE}), End.COMMITTED),
        ([Heard(), Heard(503)], Found({"a": ONE}), End.COMMITTED),
        ([Heard(504, code="MG504")], Found({"a": ONE}), End.COMMITTED),
        ([Heard(409, code="MG409")], Found({"a": ONE}), End.COMMITTED),
    ],
)
def test_what_fits_is_explained(heard: list[Heard], found: Found, end: End) -> None:
    account = told(*heard).account(found)
    assert account.unexplained == ()
    assert dict(account.ends) == {end: 1}


@pytest.mark.parametrize(
    ("heard", "found", "says"),
    [
        ([Heard(201)], Found(), "ended refused; it was told committed (201)"),
        ([Heard(201)], Found({"a": {"t": 2}}), "{'t': 2} of {'t': 1} are stored"),
        ([Heard()], Found({"a": {"t": 2}}), "it was told nothing (cut off)"),
        ([Heard(503)], Found({"a": ONE}), "ended committed; it was told refused (503)"),
        ([KEPT], Found(), "ended refused; it was told kept (400 PGRST204 kept as q-1)"),
        ([KEPT], Found(waiting={"a": 2}), "2 wait in quarantine"),
        ([KEPT], Found({"a": ONE}, waiting={"a": 1}), "1 wait in quarantine"),
        ([KEPT], Found({"a": ONE}), "ended committed; it was told kept"),
        ([Heard()], Found({"a": ONE}, replayed={"a": 2}), "2 were replayed"),
        ([Heard(202, "q")], Found(replayed={"a": 1}), "1 were replayed"),
        ([Heard()], Found({"a": ONE, "b": ONE}), "b: is there, and nobody sent it"),
        ([Heard()], Found({"a": {"other": 1}}), "{'other': 1} of {'t': 1} are stored"),
    ],
)
def test_what_does_not_fit_is_said(heard: list[Heard], found: Found, says: str) -> None:
    account = told(*heard).account(found)
    assert len(account.unexplained) == 1
    assert says in account.unexplained[0]
    assert account.unexplained[0] in account.report()


def test_half_of_several_tables_is_unexplained() -> None:
    ledger = told(Heard(), wants={"orders": 1, "items": 2})
    assert ledger.account(Found({"a": {"orders": 1, "items": 2}})).unexplained == ()
    assert ledger.account(Found({"a": {"orders": 1}})).unexplained
    assert ledger.account(Found({"a": {"orders": 1, "items": 1}})).unexplained


def test_the_report_has_the_seed_and_counts() -> None:
    ledger = told(Heard(), Heard(503))
    account = ledger.account(Found())
    assert account.unanswered == ("a",)
    assert account.report() == "seed 7: 1 requests in 2 tries: 1 refused; 1 never answered; 0 unexplained"
    assert told(Heard(503)).account(Found()).unanswered == ()


def test_a_mark_is_used_once() -> None:
    with pytest.raises(ValueError, match="used before"):
        told().sends("a", ONE)
