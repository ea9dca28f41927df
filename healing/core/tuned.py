"""The value of a tuned setting at a moment: one value, or while it is tried the other one in turns of time.

A shared setting cannot be split by event, so time is cut into blocks. Of every ``1 / share`` blocks a pair of neighbours is drawn; a coin
gives one of the two to the candidate, its neighbour is the control it is compared with, and the rest stays out. Everybody who knows the
row and the time knows the turn; nobody is asked. After ``until`` the old value holds by itself: a trial is a lease.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

BLOCK = 120.0
"""seconds. The first half of a block is not measured: what was under way when the setting changed ends in it."""
Arm = Literal["candidate", "control", "rest"]


class Trial(Struct, frozen=True):
    """``share`` of the blocks get ``value``; ``begins`` and ``until`` are Unix seconds."""

    value: float | str
    seed: str
    share: float
    begins: float
    until: float


class Tuned(Struct, frozen=True):
    """``value`` None: whatever its owner (the code, a page of settings) says."""

    value: float | str | None = None
    trial: Trial | None = None

    def at(self, now: float) -> float | str | None:
        """What holds at ``now`` (Unix seconds)."""
        trial = self.trial
        if trial is None or not trial.begins <= now < trial.until:
            return self.value
        return trial.value if arm_at(trial, now) == "candidate" else self.value

    def holds_until(self, now: float) -> float:
        """When it is to be asked again."""
        if self.trial is None or now >= self.trial.until:
            return float("inf")
        return min((now // BLOCK + 1) * BLOCK, self.trial.until)


def arm_at(trial: Trial, now: float) -> Arm:
    """Whose turn it is."""
    if trial.share >= 1.0:
        return "candidate"
    cycle, place = divmod(int(now // BLOCK), _blocks(trial.share))
    candidate, control = _pair(trial, cycle)
    return "candidate" if place == candidate else "control" if place == control else "rest"


def pairs(trial: Trial, since: float, until: float) -> Iterator[tuple[float, float]]:
    """When the blocks of each whole pair between two moments begin: (candidate's, control's)."""
    if trial.share >= 1.0:
        return
    blocks = _blocks(trial.share)
    length = blocks * BLOCK
    for cycle in range(int(since // length), int(until // length) + 1):
        begins = [(cycle * blocks + place) * BLOCK for place in _pair(trial, cycle)]
        if min(begins) >= since and max(begins) + BLOCK <= until:
            yield begins[0], begins[1]


def picked(seed: str, event: str, share: float) -> bool:
    """Whether an event belongs to the candidate: the same answer in every process, for every share that is larger, too."""
    return _number(seed, event) < share


def _blocks(share: float) -> int:
    return max(2, round(1 / share / 2) * 2)


def _pair(trial: Trial, cycle: int) -> tuple[int, int]:
    """Places of the candidate's and the control's block in a cycle."""
    first = 2 * int(_number(trial.seed, f"pair {cycle}") * (_blocks(trial.share) // 2))
    heads = _number(trial.seed, f"coin {cycle}") < 0.5
    return (first, first + 1) if heads else (first + 1, first)


def _number(seed: str, text: str) -> float:
    """In [0, 1), drawn by hash."""
    return int.from_bytes(hashlib.sha256(f"{seed}\x00{text}".encode()).digest()[:7], "big") / (1 << 56)
