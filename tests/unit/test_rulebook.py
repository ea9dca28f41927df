"""Rules found by what they answer are those that looking at each of them finds, in the same order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from healing.core.rulebook import rulebook
from healing.core.types import Kind, Rule

PARTS = [f"{kind}:{name}" for kind in (Kind.UNKNOWN_COLUMN, Kind.MISSING_VALUE, Kind.TOO_LONG) for name in "abc"]
some_parts = st.lists(st.sampled_from(PARTS), min_size=1, max_size=4, unique=True)


@given(st.lists(some_parts, max_size=30), st.frozensets(st.sampled_from(PARTS)))
def test_what_answers_is_found_whatever_else_there_is(signatures: list[list[str]], there: frozenset[str]) -> None:
    """A rule whose parts are all there; of several, those that settle most come first, then the older ones."""
    rules = tuple(Rule(str(n), "public", "t", "", " + ".join(parts), ()) for n, parts in enumerate(signatures))
    book = rulebook(rules)
    each = sorted(rules, key=lambda rule: -rule.signature.count(" + "))
    assert [rule for rule, wanted in book.answering(there) if wanted <= there] == [
        r for r in each if set(r.signature.split(" + ")) <= there
    ]
    assert book.supplied == {part[-1]: part for parts in signatures for part in parts if part.startswith(Kind.MISSING_VALUE)}


def test_a_rule_without_a_signature_answers_nothing() -> None:
    """It would be applied to every row."""
    assert list(rulebook([Rule("1", "public", "t", "", "", ())]).answering(["", "unknown_column:a"])) == []


def test_a_row_asks_only_rules_that_may_be_meant() -> None:
    """However many a table has."""
    book = rulebook([Rule(str(n), "public", "t", "", f"unknown_column:was_{n}", ()) for n in range(1_000)])
    assert [rule.id for rule, _ in book.answering(["unknown_column:was_7", "unknown_column:new"])] == ["7"]
