"""What a transaction is told first: hostile values stay values, as parameters and as text."""

from __future__ import annotations

import pytest

from healing.gateway.auth import Key, make_caller
from healing.gateway.prelude import Prelude

HOSTILE = ["x', true), set_config('role','postgres", "a\\'; RESET ROLE; --", "$1", "ä\u2028'\\"]


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_is_a_parameter_and_no_part_of_the_statement(value: str) -> None:
    prelude = make_caller(None, value, {"sub": value}).prelude
    assert prelude.step.sql == "SELECT set_config('role',$1,true),set_config('request.jwt.claims',$2,true)"
    assert prelude.step.arguments[0] == value.encode()


def test_callers_share_the_statement_and_not_the_prelude() -> None:
    one, other = (make_caller(None, "authenticated", {"sub": sub}).prelude for sub in ("ann", "ben"))
    assert one.step.sql == other.step.sql
    assert one != other
    assert one == make_caller(Key("1", "a key", "anon"), "authenticated", {"sub": "ann"}).prelude


def test_as_text_it_says_the_same() -> None:
    prelude = Prelude(("role",), (b"it's",)).plus(("request.path",), (b"/a\\b",))
    assert prelude.text == "SELECT set_config('role','it''s',true),set_config('request.path',E'/a\\\\b',true)"


def test_what_no_text_can_say_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        _ = Prelude(("role",), (b"a\0",)).text
