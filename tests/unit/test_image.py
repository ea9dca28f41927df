"""When an image from before a write may be believed: it must tell of every stored row whether it was there."""

from __future__ import annotations

import pytest

from healing.core.types import Operation, Row
from healing.gateway.image import sound, with_key
from schema_monitor.core.snapshot import Column, Constraint, Relation

TABLE = Relation(
    1, "public", "t", "r", (Column(1, "id", "integer", "int4"), Column(2, "a", "text", "text")), (Constraint(1, "t_pkey", "p", (1,)),)
)
ONE: Row = {"id": 1, "a": "old"}
TWO: Row = {"id": 2, "a": "old"}


@pytest.mark.parametrize(
    ("operation", "before", "stored", "inserted", "wanted"),
    [
        (Operation.UPDATE, [ONE], [ONE], None, True),
        (Operation.UPDATE, [ONE], [ONE, TWO], None, False),  # one came to match the filter after we had looked
        (Operation.UPDATE, None, [ONE], None, False),
        (Operation.UPDATE, [ONE], None, None, False),
        (Operation.UPSERT, [ONE], [ONE, TWO], 1, True),
        (Operation.UPSERT, [], [ONE], 1, True),
        (Operation.UPSERT, [], [ONE], 0, False),  # somebody inserted it after we had looked: it was updated
        (Operation.UPSERT, [], [ONE], None, False),
    ],
)
def test_an_image_with_a_gap_is_not_believed(
    operation: Operation, before: list[Row] | None, stored: list[Row] | None, inserted: int | None, wanted: bool
) -> None:
    """Taking back by it would delete, or leave, what it does not know."""
    assert sound(before, stored, operation, TABLE, inserted) is wanted


def test_the_key_is_read_back_with_what_was_healed() -> None:
    """Of a table; where nothing is read back, nothing is added."""
    assert with_key(("a",), TABLE) == ("a", "id")
    assert with_key((), TABLE) == ()
