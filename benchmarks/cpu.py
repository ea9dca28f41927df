"""Processor time of processes: unlike the clock, it does not grow when the machine has other work. Linux only; elsewhere zero."""

from __future__ import annotations

import time
from pathlib import Path


def spent(root: int) -> float:
    """Seconds that a process and its living descendants have used so far."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        parents.setdefault(int(words[1]), []).append(int(entry.name))
    total, queue = 0.0, [root]
    while queue:
        pid = queue.pop()
        total += _used(pid)
        queue += parents.get(pid, [])
    return total


def _used(pid: int) -> float:
    """By the process's own clock, which tells nanoseconds where ``/proc`` tells hundredths (clock_getcpuclockid in the C library)."""
    try:
        return time.clock_gettime(~pid << 3 | 2)
    except OSError:
        return 0.0
