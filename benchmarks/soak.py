"""Mixed traffic over several processes while faults come by chance: ``python -m benchmarks.soak [--seconds 600] [--seed 1]``.

The engine is the game day's (``resilience_site.gameday``): a scratch Mendgate, every request accounted for. Here faults are drawn from a
seed until the time is over, and memory and connections are watched. Ends in a table; 1 where anything is lost, doubled
or unexplained.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import sys
import time
from collections import Counter
from pathlib import Path

from benchmarks.figures import figure
from resilience_site.gameday.conduct import Outcome, conduct
from resilience_site.gameday.faults import FAULTS
from resilience_site.gameday.plan import by_chance
from resilience_site.gameday.stage import Stage, sweep


def main() -> int:
    """Prints the table; 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description="Soaks a scratch Mendgate in faults.")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    parser.add_argument("--webs", type=int, default=3)
    parser.add_argument("--clients", type=int, default=12)
    parser.add_argument("--pace", type=float, default=0.1, help="seconds between a client's requests")
    parser.add_argument("--faults", nargs="*", default=list(FAULTS), choices=list(FAULTS))
    parser.add_argument("--log", type=Path, help="where the log of the scratch Mendgate's processes is kept")
    options = parser.parse_args()
    sweep()
    outcome = asyncio.run(soak(options))
    table(outcome)
    return int(bool(outcome.unexplained))


async def soak(options: argparse.Namespace) -> Outcome:
    """One run."""
    faults = [(name, FAULTS[name].lasts) for name in options.faults]
    acts = by_chance(faults, options.seconds, random.Random(f"plan {options.seed}"))
    print(
        f"seed {options.seed}: {options.seconds:.0f} s, {options.webs} web processes, {options.clients} clients, {len(acts)} faults",
        flush=True,
    )
    async with Stage(options.webs, print) as stage:
        try:
            return await conduct(
                stage, acts, seed=options.seed, clients=options.clients, pace=options.pace, until=options.seconds,
                say=lambda line: print(line, flush=True),
            )  # fmt: skip
        finally:
            if options.log:
                shutil.copy(stage.log, options.log)


def table(outcome: Outcome) -> None:
    """What came of it, by fault, and the sums."""
    sums: dict[str, Counter[str]] = {}
    answers: dict[str, Counter[str]] = {}
    for part in outcome.parts:
        row = sums.setdefault(part.stretch.fault or "(none yet)", Counter())
        row.update({"times": 1, "requests": part.requests, "tries": part.tries, "troubled": part.troubled, "wrong": len(part.wrong)})
        row.update(part.ends)
        answers.setdefault(part.stretch.fault or "(none yet)", Counter()).update(part.statuses)
        row["recovered"] = max(row["recovered"], part.recovered)  # type: ignore[assignment]
    names = ("times", "requests", "committed", "kept", "refused", "tries", "troubled", "recovered", "wrong")
    print(f"\n{'fault':16}" + "".join(f"{name:>11}" for name in names))
    for fault, row in sums.items():
        print(f"{fault:16}" + "".join(f"{row[name]:>11.1f}" if name == "recovered" else f"{row[name]:>11}" for name in names)
              + f"   {', '.join(f'{count} × {word}' for word, count in sorted(answers[fault].items()))}")  # fmt: skip
    account = outcome.account
    print(f"\n{account.report()}\nreads: {outcome.reads}")
    for sentence in outcome.unexplained[:40]:
        print(f"  {sentence}")
    most = max(load.web_mb for load in outcome.load)
    print(f"web process {outcome.load[0].web_mb:.0f} MB at first, at most {most:.0f}, {outcome.load[-1].web_mb:.0f} at last; "
          f"connections to the target at most {max(load.connections for load in outcome.load)}")  # fmt: skip
    figure(f"requests lost in {outcome.seconds:.0f} s of faults", str(outcome.lost), "0", outcome.lost == 0)
    figure(f"requests doubled in {outcome.seconds:.0f} s of faults", str(outcome.doubled), "0", outcome.doubled == 0)
    unexplained = len(outcome.unexplained)
    figure(f"requests unexplained in {outcome.seconds:.0f} s of faults", str(unexplained), "0", unexplained == 0)


if __name__ == "__main__":
    sys.exit(main())
