"""Everything that is measured, one after the other: ``python -m benchmarks``. Each part also runs alone."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

from benchmarks.drift import directory

PARTS: dict[str, list[str]] = {"matching": [], "healing": [], "throughput": [], "heal_cost": [], "kill": ["--kills", "25"]}
NEEDS_DATA = {"matching", "healing"}


def main() -> int:
    """Runs all parts; the exit code says whether one broke a promise."""
    failed = []
    for part, words in PARTS.items():
        print(f"\n== {part} {' '.join(words)}", flush=True)
        if part in NEEDS_DATA and not (directory() / "wild-dev.jsonl").exists():
            print("skipped: the drift data is not here (set DRIFT_DIR)")
        elif part == "matching" and importlib.util.find_spec("sklearn") is None:
            print("skipped: it trains by fold and needs numpy and scikit-learn")
        elif subprocess.run([sys.executable, "-m", f"benchmarks.{part}", *words], check=False).returncode:
            failed.append(part)
    print("\nbroken promises: " + (", ".join(failed) or "none"))
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
