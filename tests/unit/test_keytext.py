"""The text of API keys."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healing.gateway import keytext


def test_a_fresh_key_has_the_promised_shape_and_passes_its_own_check() -> None:
    """mg_, 8 letters, and a secret with its checksum; the hash is of the whole key."""
    key, prefix, hexdigest = keytext.make()
    assert key.startswith(f"mg_{prefix}_")
    assert len(prefix) == 8
    assert len(key.split("_")[2]) >= 32 + 6
    assert hexdigest == hashlib.sha256(key.encode()).hexdigest()
    assert keytext.check(key)


def test_two_keys_are_never_the_same() -> None:
    """The secret comes from the system's randomness."""
    assert keytext.make()[0] != keytext.make()[0]


@given(position=st.integers(min_value=3, max_value=52), letter=st.sampled_from("abcXYZ019"))
def test_one_wrong_letter_is_noticed(position: int, letter: str) -> None:
    """A CRC notices every single-letter mistake."""
    key, _, _ = keytext.make()
    wrong = key[:position] + letter + key[position + 1 :]
    assert keytext.check(wrong) is (wrong == key)


@pytest.mark.parametrize("text", ["", "mg_", "sb_secret_abc", "mg_abcdefgh_short", "mg_abcdefgh_" + "é" * 42, "a.b.c"])
def test_text_that_is_no_key_fails_the_check(text: str) -> None:
    """Also other people's keys and JWTs."""
    assert not keytext.check(text)
