"""Memory of processes. Linux only; elsewhere zero."""

from __future__ import annotations

from pathlib import Path


def resident_mb(root: int) -> float:
    """Megabytes that the processes of a session (a process group that we started) hold: each one's own, and what they share once a
    process."""
    return sum(_resident(process) for process in Path("/proc").glob("[0-9]*") if _group(process) == root)


def _group(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[2])
    except OSError:
        return 0


def _resident(process: Path) -> float:
    try:
        lines = (process / "status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024
