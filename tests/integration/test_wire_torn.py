"""Lanes and reads over a network that hands out single bytes and cuts anywhere, while statements are cancelled (``tests/wire_fuzz.py``)."""

from __future__ import annotations

import pytest
import uvloop

from tests.wire_fuzz import play


@pytest.mark.parametrize(("seed", "cuts", "cancels"), [(1, 0.0, 0), (2, 2.0, 0), (3, 1.0, 40)])
def test_what_was_said_of_each_request_is_what_happened(target_url: str, owner_url: str, seed: int, cuts: float, cancels: int) -> None:
    """What is stored was acknowledged, what was refused is not there, each read had its own rows, and the pool is whole."""
    ledger = uvloop.run(play(target_url, owner_url, seed, 100, cuts, cancels))
    assert ledger.stored
