"""Memory of processes. Linux only; elsewhere zero."""

from __future__ import annotations

from pathlib import Path


def resident_mb(root: int) -> float:
    """Megabytes that the processes of a session (a process group that we started) hold: each one's own, and what they share once a
    process."""
    return sum(_megabytes(process, "VmRSS:") for process in _session(root))


def peak_mb(root: int) -> float:
    """The most that they ever held, each for itself, since ``forget_peak``."""
    return sum(_megabytes(process, "VmHWM:") for process in _session(root))


def forget_peak(root: int) -> None:
    """Peaks begin anew."""
    for process in _session(root):
        (process / "clear_refs").write_text("5")


def _session(root: int) -> list[Path]:
    return [process for process in Path("/proc").glob("[0-9]*") if _group(process) == root]


def _group(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[2])
    except OSError:
        return 0


def _megabytes(process: Path, what: str) -> float:
    try:
        lines = (process / "status").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith(what)) / 1024
