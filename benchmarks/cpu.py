"""Processor time of processes: unlike the clock, it does not grow when the machine has other work. Linux only; elsewhere zero."""

from __future__ import annotations

import os
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def spent(root: int) -> float:
    """Seconds that a process and its living descendants have used so far."""
    parents: dict[int, list[int]] = {}
    used: dict[int, float] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        parents.setdefault(int(words[1]), []).append(int(entry.name))
        used[int(entry.name)] = (int(words[11]) + int(words[12])) / TICK
    total, queue = 0.0, [root]
    while queue:
        pid = queue.pop()
        total += used.get(pid, 0.0)
        queue += parents.get(pid, [])
    return total
