"""Which reads may share a statement, as far as the request tells."""

from __future__ import annotations

import pytest

from healing.gateway.keyed_read import may_suit
from healing.gateway.request import parse


@pytest.mark.parametrize(
    ("query", "headers", "suits"),
    [
        (b"id=eq.5", {"accept": "*/*"}, True),
        (b"id=eq.5&select=id,name", {"accept": "application/vnd.pgrst.object+json"}, True),
        (b"id=eq.5&limit=1", {}, False),
        (b"id=eq.5&order=id", {}, False),
        (b"id=eq.5", {"range": "0-9"}, False),
        (b"id=eq.5", {"prefer": "count=exact"}, False),
        (b"id=eq.5", {"accept": "text/csv"}, False),
        (b"", {}, False),
    ],
)
def test_plain_reads_may_share_a_statement(query: bytes, headers: dict[str, str], suits: bool) -> None:
    """One row by a key, in JSON; what asks for more goes the ordinary way."""
    assert may_suit(parse("GET", "/things", query, headers, ("public",))) is suits
