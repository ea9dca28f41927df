"""A fix is seen in its preview, whatever it changes, without the values of the row."""

from __future__ import annotations

from typing import Any

import pytest

from healing.core import fixes
from healing.preview import without_values

ROW = {"status": "Open", "name": "Ann", "due": "1.2.2024", "size": "7"}


@pytest.mark.parametrize(
    ("fix", "before", "after"),
    [
        ({"op": "map_value", "column": "status", "from": "Open", "to": "open"}, {"status": "Open"}, {"status": "open"}),
        ({"op": "cast", "column": "size", "to": "integer", "format": "whole_number"}, {"size": "string"}, {"size": "number"}),
        ({"op": "truncate", "column": "name", "n": 2}, {"name": "string"}, {"name": "string, changed"}),
        ({"op": "rename_column", "from": "name", "to": "title"}, {"name": "string"}, {"title": "string"}),
    ],
)
def test_what_changed_is_seen_and_no_value_beside_it(fix: dict[str, Any], before: dict[str, str], after: dict[str, str]) -> None:
    then = fixes.apply(fixes.parse([fix]), ROW, {})
    seen = without_values(ROW, then, [fix])
    types = dict.fromkeys(ROW, "string")
    assert seen == ({**types, **before}, {**dict.fromkeys(then, "string"), **after})
