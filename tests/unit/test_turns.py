"""Lines that take turns."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healing.gateway.turns import Turns


def filled(callers: list[str]) -> Turns[tuple[str, int]]:
    """Each caller's things, numbered as they came."""
    turns: Turns[tuple[str, int]] = Turns()
    for number, who in enumerate(callers):
        turns.put(who, (who, number))
    return turns


@given(st.lists(st.sampled_from("abcd")))
def test_everybody_keeps_their_own_order_and_nobody_is_lost(callers: list[str]) -> None:
    turns = filled(callers)
    taken = [turns.take() for _ in range(len(turns))]
    assert sorted(taken) == sorted((who, number) for number, who in enumerate(callers))
    for who in set(callers):
        own = [number for caller, number in taken if caller == who]
        assert own == sorted(own)
    assert not turns


def test_who_sends_one_comes_after_one_of_who_sends_a_thousand() -> None:
    turns = filled(["noisy"] * 1000 + ["quiet"])
    assert [turns.take()[0] for _ in range(2)] == ["noisy", "quiet"]


@given(st.lists(st.sampled_from("abc"), min_size=1), st.data())
def test_what_is_looked_at_is_what_is_taken_and_who_leaves_is_gone(callers: list[str], data: st.DataObject) -> None:
    turns = filled(callers)
    gone = data.draw(st.sampled_from([(who, number) for number, who in enumerate(callers)]))
    turns.remove(gone[0], gone)
    turns.remove(gone[0], gone)
    assert len(turns) == len(callers) - 1
    while turns:
        seen = turns.peek()
        assert turns.take() == seen != gone


def test_an_empty_queue_gives_nothing() -> None:
    for ask in (Turns().take, Turns().peek):
        with pytest.raises(IndexError):
            ask()
