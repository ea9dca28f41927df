"""What the TypeScript client costs on Node, in one run: a write over bare supabase-js, a closed breaker beside opossum and cockatiel.

``python -m benchmarks.client [--rounds 5]``; it needs Node and npm (``benchmarks/javascript`` has the peers, pinned by its lock).
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.figures import figure

HERE = Path(__file__).parent
PEERS = HERE / "javascript"
CLIENT = HERE.parent / "clients/typescript"


def main() -> int:
    """Measures, prints tables and figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        print("skipped: Node or npm is missing")
        return 0
    for directory in (PEERS, CLIENT):
        if not (directory / "node_modules").exists():
            subprocess.run([npm, "ci", "--silent", "--no-audit", "--no-fund"], cwd=directory, check=True)
    found = json.loads(measured(node, rounds))
    report(found)
    return 0


def measured(node: str, rounds: int) -> str:
    """The line that Node prints."""
    with tempfile.TemporaryDirectory() as home:
        bundle = Path(home) / "client.mjs"
        words = ["--bundle", "--minify", "--format=esm", "--target=es2022", "--log-level=error", f"--outfile={bundle}"]
        subprocess.run([CLIENT / "node_modules/.bin/esbuild", "src/mod.ts", *words], cwd=CLIENT, check=True)
        done = subprocess.run([node, "measure.mjs", str(bundle), str(rounds)], cwd=PEERS, check=True, capture_output=True, text=True)
    return done.stdout


def report(found: dict[str, dict[str, float]]) -> None:
    """Tables for people, figures for ``python -m benchmarks``."""
    cost = found["cost"]
    more = cost["more"]
    print(f"insert over loopback HTTP, p50: bare supabase-js {cost['bare']:.3f} ms, ours {cost['ours']:.3f} ms")
    for what, times in (("a closed breaker, µs a call", found["plain"]), ("the same with a time limit of 30 s", found["timed"])):
        print(what)
        for who, took in times.items():
            print(f"  {who:24}{took - times['bare'] * (who != 'bare'):8.2f}" + ("  (taken off the others)" if who == "bare" else ""))
    print(f"requests for {found['calls']:,} shared calls in {found['seconds']:.0f} s: {found['requests']}")
    ours, peers = _split(found["plain"])
    limited, others = _split(found["timed"])
    figure("TypeScript client: p50 a write over supabase-js", f"{more:.3f} ms", "< 0.3 ms", more < 0.3)
    figure("TypeScript breaker, closed, beside the fastest peer", f"{ours:.2f} µs", f"< {peers:.2f} µs", ours < peers)
    figure("the same with a time limit", f"{limited:.2f} µs", f"< {others:.2f} µs", limited < others)


def _split(times: dict[str, float]) -> tuple[float, float]:
    """Ours that is shared, and the fastest of the others; the bare call is taken off."""
    peers = [took for who, took in times.items() if who != "bare" and not who.startswith("ours")]
    return times["ours, shared"] - times["bare"], min(peers) - times["bare"]


if __name__ == "__main__":
    sys.exit(main())
