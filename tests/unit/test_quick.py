"""The quick way decides what the careful way decides, or leaves it alone."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from healing.core.mend import Applied, Mended, mend
from healing.core.quick import accepted, shape_of
from healing.core.types import Healing, Row
from healing.core.vet import all_clean, clean
from tests.unit.test_heal import ID, NAME, OWNER, PRICE, context, insert, rule

TITLE = replace(NAME, name="title")
NICK = rule("unknown_column:nick", {"op": "rename_column", "from": "nick", "to": "title"})


@pytest.mark.parametrize("row", [{"name": "Ada"}, {"nick": "A"}, {"id": 1, "name": None}, {"name": "A", "price": 1}])
def test_both_ways_agree(row: Row) -> None:
    """The same statement, the same fixes, the same provenance."""
    known = context((ID, NAME, PRICE), (ID, TITLE, PRICE), NICK)
    statement = insert(row, row)
    shape = shape_of(tuple(row), known)
    assert shape is not None and known.vet is not None
    accepts = accepted(shape.names, known.vet)
    assert accepts is not None and clean(row, accepts)
    rows = tuple({shape.names[key]: value for key, value in row.items()} for row in statement.rows)
    applied = tuple(Applied(fix, source, by, (0, 1)) for fix, source, by in shape.found)
    assert Mended(replace(statement, rows=rows), applied) == mend(statement, known)


@pytest.mark.parametrize("keys", [("name", "title"), ("name", "nick"), ("what",), ("title",), ()])
def test_keys_with_no_several_or_one_plain_meaning_are_left_alone(keys: tuple[str, ...]) -> None:
    """Two keys for one column, an unknown key, nothing to heal."""
    assert shape_of(keys, context((ID, NAME), (ID, TITLE), NICK)) is None


def test_rules_do_not_count_below_their_level() -> None:
    """healing=exact knows lineage only."""
    known = context((ID, NAME), (ID, TITLE), NICK, level=Healing.EXACT)
    assert shape_of(("nick",), known) is None
    assert shape_of(("name",), known) is not None


def test_a_value_with_a_trap_takes_the_careful_way() -> None:
    """A number into text, or digits that would be rounded."""
    known = context((ID, NAME, PRICE), (ID, TITLE, PRICE))
    shape = shape_of(("name",), known)
    assert shape is not None and known.vet is not None
    accepts = accepted(shape.names, known.vet)
    assert accepts is not None and clean({"name": "five"}, accepts) and not clean({"name": 5}, accepts)


@pytest.mark.parametrize("key", ["", "na\0me", "n" * 64])
def test_keys_that_cannot_be_named_in_a_statement_take_the_careful_way(key: str) -> None:
    """Postgres would cut such a name off, or refuse it."""
    known = context((ID, NAME), (ID, TITLE))
    assert known.vet is not None
    assert accepted({key: "title"}, known.vet) is None


@pytest.mark.parametrize("last", [{"name": "A", "price": 1}, {"name": 5, "price": 1}, {"name": "A", "price": Decimal("1.239")}])
def test_many_rows_are_judged_as_each_is(last: Row) -> None:
    """Column by column or row by row: one row that needs a look is found wherever it stands."""
    vet = context((ID, NAME, PRICE), (ID, NAME, PRICE)).vet
    assert vet is not None
    first: Row = {"name": "A", "price": Decimal("1.2")}
    for rows in ((first, last), (last, first), (first, first, last, first)):
        assert all_clean(rows, vet.accepts) is all(clean(row, vet.accepts) for row in rows)


def test_rules_for_missing_values_take_the_careful_way() -> None:
    """They depend on what a row lacks, not on its keys."""
    fill = rule("missing_value:user_id", {"op": "fill", "column": "user_id", "claim": "sub"})
    assert shape_of(("name",), context((ID, NAME, OWNER), (ID, TITLE, OWNER), fill)) is None
