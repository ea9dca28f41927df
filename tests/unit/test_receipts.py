"""Receipts of mere renames are told in short, and read in full."""

from __future__ import annotations

from healing.gateway.receipts import in_full, renamed_end, renamed_values


def test_a_receipt_in_short_has_the_sent_row_to_the_letter_and_the_stored_one_under_its_names() -> None:
    sent = b'{"a": 1.50, "b":1e2}, {"a":12345678901234567890123,"b":null}'
    whole = in_full(renamed_values(sent, renamed_end({"a": "x"})))
    assert whole.startswith(b'{"sent":[' + sent + b'],"stored":[')
    assert b'"stored":[{"x":1.50,"b":' in whole and b'{"x":12345678901234567890123,"b":null}]' in whole


def test_a_receipt_in_full_stays_as_it_is() -> None:
    values = b'{"sent": [{"renamed": {"a": "b"}}], "stored": null, "changes": []}'
    assert in_full(values) == values
