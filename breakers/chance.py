"""Chance for jitter, of our own: whoever draws from Python's shared source beside our threads must get what he seeded."""

from __future__ import annotations

import os
from random import Random
from uuid import UUID

_source = Random()  # noqa: S311 - no secret
random = _source.random
uniform = _source.uniform


def identifier() -> str:
    """A UUID that nobody else draws; no secret."""
    return str(UUID(int=_source.getrandbits(128), version=4))


os.register_at_fork(after_in_child=_source.seed)
