"""Keys of ours in bodies that leave: found whole, in parts, and nothing else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from breakers.core.own_keys import Sieve, found, without
from healing.gateway import keytext

KEY, OTHER = (keytext.make()[0].encode() for _ in range(2))
NOISE = st.binary(max_size=80) | st.sampled_from([b"", b"mg_", b"m", KEY[:30], KEY[:-1], KEY[1:], b"mg_12345678_" + b"a" * 40])


def test_a_key_is_taken_out_and_its_beginning_tells_which() -> None:
    """The rest stays as it was, and JSON stays JSON."""
    body = b'{"a": "use ' + KEY + b" or\\n" + KEY + b'", "b": "' + OTHER + b'!"}'
    text, beginnings = without(body)
    assert text == b'{"a": "use ' + KEY[:12] + b"[removed] or\\n" + KEY[:12] + b'[removed]", "b": "' + OTHER[:12] + b'[removed]!"}'
    assert beginnings == (KEY[:12].decode(), OTHER[:12].decode())


def test_what_only_looks_like_a_key_stays() -> None:
    """A wrong checksum is no key, and hides none behind it."""
    mistyped = KEY[:-1] + (b"a" if KEY[-1:] != b"a" else b"b")
    assert without(mistyped) == (mistyped, ())
    assert found(b"mg_12345678_" + b"a" * 40 + KEY) == [KEY]


@given(NOISE, NOISE, st.lists(st.integers(1, 60), max_size=12))
def test_in_parts_nothing_of_a_key_is_passed_on(before: bytes, after: bytes, cuts: list[int]) -> None:
    """Wherever a body is cut."""
    passed, keys = _sieved(before + KEY + after, cuts)
    assert keys == KEY and before.startswith(passed)


@given(NOISE, NOISE, st.lists(st.integers(1, 60), max_size=12))
def test_in_parts_everything_else_is_passed_on(before: bytes, after: bytes, cuts: list[int]) -> None:
    """To the last byte."""
    if not found(before + after):
        assert _sieved(before + after, cuts) == (before + after, None)


def _sieved(body: bytes, cuts: list[int]) -> tuple[bytes, bytes | None]:
    """What was passed on of a body in such parts, and the key that ended it."""
    sieve, passed = Sieve(), b""
    while body:
        size = cuts.pop() if cuts else len(body)
        part, body = body[:size], body[size:]
        may, keys = sieve.pass_on(part)
        if keys:
            return passed, keys[0]
        passed += may
    return passed + sieve.rest(), None
