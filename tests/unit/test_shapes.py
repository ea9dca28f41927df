"""What is worked out for a shape is kept while the shape is in use, and no longer than the state that it is true under."""

from __future__ import annotations

import pytest

from healing.gateway import shapes
from healing.gateway.shapes import Shapes


def test_endless_shapes_push_nobody_out_who_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is bounded all the same."""
    monkeypatch.setattr(shapes, "MOST", 10)
    known, made = Shapes(), list[object]()
    for n in range(200):
        for shape in ("steady", n):
            assert known.find("state", shape, lambda shape=shape: made.append(shape) or f"of {shape}") == f"of {shape}"
    assert made == ["steady", *range(200)]
    assert len(known._known) + len(known._before) <= 20


def test_another_state_begins_anew() -> None:
    """Also where nothing is known of a shape but that there is nothing to know."""
    known, made = Shapes(), list[int]()
    for state in (1, 1, 2, 2, 1):
        assert known.find(state, "shape", lambda state=state: made.append(state)) is None
    assert made == [1, 2, 1]
