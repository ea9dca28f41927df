"""Everything that is measured, in small, one after the other, and one table of the figures: ``python -m benchmarks``.

Each part also runs alone and in full: ``python -m benchmarks.healing``, ``.throughput``, ``.heal_cost``, ``.bulk``, ``.selects``,
``.keyed``, ``.flatness``, ``.spread``, ``.kill``, ``.faults``, ``.rolling``, ``.ddl_latency``, ``.large_catalog``, ``.migration``,
``.machine``, ``.documents``, ``.poison``, ``.metrics_cost``,
``.breaker_cost``, ``.breaker_fleet``, ``.ai_overhead``, ``.ai_streams``, ``.ai_down``, ``.ai_faults``, ``.client``, ``.matching``,
``.schema_fixes``, ``.backtest``.
Words after ``python -m benchmarks`` choose parts.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys

from benchmarks.drift import directory
from benchmarks.figures import Figure, parsed

PARTS: dict[str, list[str]] = {
    "throughput": ["--rounds", "3", "--seconds", "2", "--clients", "1", "64"],
    "heal_cost": ["--rounds", "3", "--seconds", "2", "--clients", "1", "64"],
    "bulk": ["--rounds", "3", "--rows", "20000"],
    "selects": ["--rounds", "3"],
    "keyed": ["--rounds", "3", "--clients", "64"],
    "flatness": ["--rounds", "3"],
    "spread": ["--tables", "1000", "--rounds", "3"],
    "kill": ["--kills", "15"],
    "rolling": ["--rounds", "1"],
    "faults": ["kills", "cuts", "lock", "silent", "--kills", "40", "--cuts", "100"],
    "ddl_latency": ["--tables", "100", "--rounds", "60"],
    "large_catalog": ["--tables", "3000", "--rounds", "20", "--idle", "10"],
    "migration": [],
    "machine": ["--runs", "15", "--seed", "1"],
    "documents": ["--examples", "3"],
    "poison": ["--rows", "2000", "--seconds", "20"],
    "metrics_cost": ["--rounds", "3"],
    "breaker_cost": ["--rounds", "3"],
    "breaker_fleet": ["--trips", "30", "--crowds", "6"],
    "ai_overhead": ["--rounds", "3", "--seconds", "3"],
    "ai_streams": ["--rounds", "2"],
    "ai_down": ["--rounds", "2", "--seconds", "3"],
    "ai_faults": [],
    "client": ["--rounds", "3"],
    "healing": ["--sample", "200"],
    "matching": [],
    "schema_fixes": [],
    "backtest": ["--cases", "20000"],
    "assist": ["--minutes", "6"],
    "optimizer": ["--runs", "100", "--harms", "20"],
    "optimizer.bad": ["--runs", "20"],
}
NEEDS_DATA = {"matching", "schema_fixes", "healing", "assist"}


def main() -> int:
    """Runs the parts; the exit code says whether one broke a promise."""
    chosen = sys.argv[1:] or list(PARTS)
    if unknown := set(chosen) - PARTS.keys():
        raise SystemExit(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    found: list[Figure] = []
    failed = [part for part in chosen if not run(part, found)]
    print(f"\n{'':52}{'measured':>14}{'aim':>12}  reached")
    for each in found:
        print(each)
    print("\nbroken promises: " + (", ".join(failed) or "none"))
    return int(bool(failed))


def run(part: str, found: list[Figure]) -> bool:
    """Runs one part, shows its output, collects its figures; False where it ended with an error."""
    print(f"\n== {part} {' '.join(PARTS[part])}", flush=True)
    if why := missing(part):
        print(f"skipped: {why}")
        return True
    with subprocess.Popen([sys.executable, "-u", "-m", f"benchmarks.{part}", *PARTS[part]], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if (each := parsed(line)) is not None:
                found.append(each)
            else:
                print(line, end="", flush=True)
    return process.returncode == 0


def missing(part: str) -> str:
    """What a part needs and is not here; '' when it can run."""
    if part in NEEDS_DATA and not (directory() / "wild-dev.jsonl").exists():
        return "the drift data is not here (set DRIFT_DIR)"
    if part in ("matching", "assist") and importlib.util.find_spec("sklearn") is None:
        return "it trains by fold and needs requirements-train.txt"
    return ""


if __name__ == "__main__":
    sys.exit(main())
