"""Chance for jitter, of our own: whoever draws from Python's shared source beside our threads must get what he seeded."""

from __future__ import annotations

import os
from random import Random

_source = Random()  # noqa: S311 - no secret
random = _source.random
uniform = _source.uniform

os.register_at_fork(after_in_child=_source.seed)
