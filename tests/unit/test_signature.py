"""The texts that rules match on: each misfit has its own, whatever callers call things."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healing.core.signature import joined, listed, of, read, read_label, split
from healing.core.types import Kind, Misfit
from healing.templatetags.mendgate import cause

ODD = st.text(alphabet="a +=:\\,\0\ufffd0", max_size=7)
MISFITS = st.one_of(
    st.builds(Misfit, st.sampled_from([Kind.UNKNOWN_COLUMN, Kind.MISSING_VALUE, Kind.UNKNOWN_TABLE]), ODD),
    st.builds(Misfit, st.just(Kind.UNKNOWN_LABEL), ODD, ODD),
)


@given(st.sets(MISFITS, max_size=4), st.sets(MISFITS, max_size=4))
def test_other_misfits_have_another_signature(some: set[Misfit], others: set[Misfit]) -> None:
    """Alone and together."""
    first, second = (joined([misfit.signature for misfit in each]) for each in (some, others))
    assert (first == second) == (some == others)
    assert "\0" not in first


@given(st.lists(MISFITS, max_size=4))
def test_a_signature_reads_back_as_its_misfits(misfits: list[Misfit]) -> None:
    """Kinds, names, and of labels the column and the label."""
    found = []
    for part in split(joined([misfit.signature for misfit in misfits])):
        kind, name = read(part)
        column, value = read_label(name) if kind == Kind.UNKNOWN_LABEL else (name, None)
        found.append(Misfit(Kind(kind), column, value))
    assert set(found) == set(misfits)


@given(st.lists(ODD.filter(bool), min_size=1, max_size=4), st.lists(ODD.filter(bool), min_size=1, max_size=4))
def test_lists_of_names_are_told_apart(some: list[str], others: list[str]) -> None:
    """Also where a name holds a comma."""
    assert (of("conflict_target", listed(some)) == of("conflict_target", listed(others))) == (some == others)


@pytest.mark.parametrize(
    ("misfit", "text"),
    [
        (Misfit(Kind.UNKNOWN_COLUMN, "metadata"), "unknown_column:metadata"),
        (Misfit(Kind.UNKNOWN_COLUMN, "c++"), "unknown_column:c++"),
        (Misfit(Kind.UNKNOWN_LABEL, "age", "18+"), "unknown_label:age=18+"),
        (Misfit(Kind.UNKNOWN_LABEL, "status", "a=b"), "unknown_label:status=a=b"),
        (Misfit(Kind.UNKNOWN_LABEL, "on", True), "unknown_label:on=true"),
        (Misfit(Kind.UNKNOWN_COLUMN, "a + unknown_column:b"), "unknown_column:a \\+ unknown_column:b"),
        (Misfit(Kind.RAGGED), "ragged"),
    ],
)
def test_plain_names_stay_as_they_are(misfit: Misfit, text: str) -> None:
    """So rules from before still match; only what could be taken for something else is marked."""
    assert misfit.signature == text


def test_people_read_the_first_of_very_many_misfits_and_how_many_more_there_are() -> None:
    few, many = (joined(of("unknown_column", f"key{i}") for i in range(count)) for count in (8, 150))
    assert cause(few).count("unknown column key") == 8
    assert cause(many).endswith("unknown column key103 and 143 more")
