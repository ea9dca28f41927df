"""Policy ``certified``: what is evidence, and when it is enough."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healing.core.certify import BELIEF, WANTED, Tally, bucket_of, marked, needed, tallies
from healing.core.confidence import regularized_beta
from healing.core.types import Json, Proposal

RENAME: dict[str, Json] = {"op": "rename_column", "from": "a", "to": "b"}


def proposal(probability: float = 0.995, *ops: dict[str, Json], against: tuple[str, ...] = ()) -> Proposal:
    """A proposal of the matcher."""
    return Proposal(ops or (RENAME,), probability, "matcher", "", {"for": [], "against": list(against)})


def test_without_a_wrong_one_it_takes_2994_right_decisions() -> None:
    assert not Tally(2993).certified
    assert Tally(2994).certified


def test_one_wrong_one_asks_for_thousands_more() -> None:
    assert not Tally(4500, 1).certified
    assert needed(Tally(2994, 1)) == 1746


def test_one_reversal_ends_a_bucket_whatever_else_was_right() -> None:
    assert not Tally(10_000_000, 1, reversed=True).certified
    assert needed(Tally(10_000_000, 1, reversed=True)) is None


@given(st.integers(0, 9000), st.integers(0, 5))
def test_a_certified_bucket_is_above_the_wanted_rate_as_surely_as_it_says(right: int, wrong: int) -> None:
    believed = 1 - regularized_beta(right + 1, wrong + 1, WANTED)
    assert Tally(right, wrong).certified == (believed >= BELIEF)


@given(st.integers(0, 4000), st.integers(0, 3))
def test_what_it_lacks_is_the_least_that_certifies_it(right: int, wrong: int) -> None:
    lacks = needed(Tally(right, wrong))
    assert lacks is not None
    assert Tally(right + lacks, wrong).certified
    assert lacks == 0 or not Tally(right + lacks - 1, wrong).certified


@pytest.mark.parametrize(
    ("said", "bucket"),
    [
        (proposal(0.995), "m/rename_column/0.99"),
        (proposal(0.97), "m/rename_column/0.97"),
        (proposal(0.96), "m/rename_column/0.90"),
        (proposal(0.89), ""),
        (proposal(0.999, against=("the unit differs: g and kg",)), ""),
        (proposal(0.999, RENAME, {"op": "drop_key", "column": "c"}), ""),
        (proposal(0.999, {"op": "drop_key", "column": "c"}), ""),
        (proposal(0.999, {"op": "rename_table", "from": "a", "to": "b"}), ""),
        (proposal(0.999, {"op": "rescue", "column": "a", "into": "b"}), ""),
    ],
)
def test_only_a_single_likely_move_that_nothing_speaks_against_is_in_a_bucket(said: Proposal, bucket: str) -> None:
    assert bucket_of(said, "m") == bucket


def test_only_the_best_proposal_carries_its_bucket() -> None:
    best, other = marked((proposal(0.995), proposal(0.98)), "m")
    assert best.evidence["bucket"] == "m/rename_column/0.99"
    assert "bucket" not in other.evidence
    assert marked((), "m") == ()


def test_evidence_for_another_model_does_not_count() -> None:
    decided = {"new/fill/0.90": Tally(2), "old/fill/0.90": Tally(4000), "new/x/0.97": Tally(0, 1, True)}
    assert tallies({"fill/0.90": (3, 1)}, decided, "new") == {"new/fill/0.90": Tally(5, 1), "new/x/0.97": Tally(0, 1, True)}
