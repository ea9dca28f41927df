"""Bodies become rows with every digit kept, or a clear refusal."""

from __future__ import annotations

from decimal import Decimal

import pytest

from healing.gateway.errors import DialectError
from healing.gateway.payload import Payload, parse_payload
from healing.gateway.receipts import encode


def parsed(body: bytes, content_type: str = "application/json") -> Payload:
    """The payload of a body under small limits."""
    return parse_payload(body, {"content-type": content_type}, depth=100, most_rows=10)


def refusal(body: bytes, content_type: str = "application/json") -> DialectError:
    """The error that a body gets."""
    with pytest.raises(DialectError) as caught:
        parsed(body, content_type)
    return caught.value


def test_digits_survive_a_round_trip() -> None:
    """Numbers are never floats on our side."""
    body = b'{"a":1.10,"b":12345678901234567890123,"c":0.1000000000000000055511151231257827}'
    payload = parsed(body)
    assert payload.rows[0]["a"] == Decimal("1.10")
    assert encode(payload.rows[0]) == body


def test_an_array_keeps_its_own_bytes_without_the_brackets() -> None:
    """What was sent is what travels on."""
    payload = parsed(b' [ {"a": 1}, {"a": 2} ] ')
    assert payload.inner == b' {"a": 1}, {"a": 2} '
    assert payload.rows == ({"a": 1}, {"a": 2})
    assert not payload.single


@pytest.mark.parametrize("body", [b'{"a":1,"a":2}', b'[{"a":1},{"b":{"c":1,"c":1}}]', b'{"a" : 1, "a"  : 1}'])
def test_a_key_that_appears_twice_is_refused(body: bytes) -> None:
    """The last one would win in silence."""
    error = refusal(body)
    assert (error.code, error.status) == ("PGRST102", 400)
    assert "more than once" in error.message


@pytest.mark.parametrize("body", [b'{"a":"\\":","b":1}', b'{"a\\"":1,"b":"\\":\\":"}', b'{"a":"x\\" : y"}'])
def test_colons_and_quotes_inside_strings_are_no_keys(body: bytes) -> None:
    """The quick count of keys may be off; then the slow look decides."""
    assert len(parsed(body).rows) == 1


def test_depth_is_counted_outside_of_strings() -> None:
    """Brackets in a string nest nothing; real ones do."""
    assert parsed(b'{"a":"' + b"[" * 500 + b'"}').rows
    deep = b'{"a":' + b"[" * 100 + b"]" * 100 + b"}"
    assert refusal(deep).message == "The JSON is nested deeper than 100 levels"


@pytest.mark.parametrize(
    "body",
    [b"{", b"[{}", b'{"a":NaN}', b'"text"', b"17", b"null", b"[1]", b'{"a":"\xff"}', b'{"a":"\\ud800"}', b'{"a":1e999999999999999999999}'],
)
def test_what_is_no_object_or_array_of_objects_is_refused(body: bytes) -> None:
    """Wrong JSON, wrong UTF-8, wrong shape."""
    assert (refusal(body).code, refusal(body).status) == ("PGRST102", 400)


def test_too_many_rows_and_other_media_are_refused() -> None:
    """Both say what to do."""
    assert refusal(b"[" + b",".join([b"{}"] * 11) + b"]").status == 413
    assert refusal(b"a,b", "text/csv").status == 415


def test_an_empty_body_has_no_rows() -> None:
    """Nothing to write is not an error here."""
    assert parsed(b"  ").rows == ()


def test_what_is_nested_too_deep_for_the_reader_is_told_so_too() -> None:
    """However deep it is, the refusal is the same."""
    assert refusal(b"[" * 100_000).message == "The JSON is nested deeper than 100 levels"


@pytest.mark.parametrize("body", [b'{"a":[[{"b":1},{"b":2}]],"c":"x:y"}', b'[{"a":1,"b":[]},{"a":{"c":[{}]}}]', b'{"a":{"a":{"a":1}}}'])
def test_the_same_key_at_several_places_is_no_key_twice(body: bytes) -> None:
    """Only within one object a key must be alone."""
    assert parsed(body).rows


def test_a_key_twice_in_one_of_many_rows_is_refused() -> None:
    """Where a text of another row holds the colon that would even the count out, too."""
    assert "more than once" in refusal(b'[{"a":1},{"a":2,"a":3},{"a":":"}]').message
