"""Real drift through the real HTTP API on real tables: ``python -m benchmarks.healing [--sample N] [--seed S]``.

Prints right, wrong and abstained by source, mode and kind. ``healed`` counts what landed; ``kept`` what waits in quarantine, with how
often its best proposal was right. Exit code 1 if a healthy write was touched, a known rename
was not healed, or anything was healed wrongly.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections import Counter

from benchmarks.figures import figure
from benchmarks.healing import applications, chains, histories
from benchmarks.healing.case import LINEAGE, Case, Outcome
from benchmarks.healing.run import judge, prepare, send
from benchmarks.stage import arguments, stage_of

VERDICTS = ("right", "wrong", "abstained", "refused", "failed", "unfit", "unjudged")
"""``abstained``: kept in quarantine; ``unfit``: Postgres itself refuses the row, though the data calls it healthy."""


def main() -> int:
    """Runs and prints."""
    options = _options()
    cases = chosen(options.sample, options.seed)
    started = time.monotonic()
    with stage_of(options) as stage:
        prepare(stage, cases)
        ready = time.monotonic()
        outcomes = asyncio.run(send(stage, cases))
        sent = time.monotonic()
        judge(stage, outcomes)
    print(f"{len(cases)} writes; tables {ready - started:.0f} s, writes and look-ups {sent - ready:.0f} s")
    return report(outcomes, options.show)


def chosen(sample: int, seed: int) -> list[Case]:
    """All cases, or a sample of each source."""
    sources = (list(histories.cases(seed)), list(chains.cases(seed)), list(applications.wild(seed)), list(applications.healthy(seed)))
    if not sample:
        return [case for source in sources for case in source]
    rng = random.Random(seed)
    return [case for source in sources for case in rng.sample(source, min(sample, len(source)))]


def report(outcomes: list[Outcome], show: int) -> int:
    """Prints the table; 1 where a promise was broken."""
    groups: dict[tuple[str, str, str], list[Outcome]] = {}
    for outcome in outcomes:
        case = outcome.case
        groups.setdefault((case.source, case.mode, case.kind), []).append(outcome)
    print(f"{'':34}{'n':>6}{''.join(f'{v:>10}' for v in VERDICTS)} | proposals: right wrong silent")
    for key, found in sorted(groups.items()):
        said, proposed = Counter(o.verdict for o in found), Counter(o.proposed for o in found)
        numbers = f"{len(found):>6}" + "".join(f"{said[verdict]:>10}" for verdict in VERDICTS)
        print(f"{' '.join(key):34}{numbers} | {proposed['right']:>16}{proposed['wrong']:>6}{proposed['silent']:>7}")
    wrong = [o for o in outcomes if o.verdict == "wrong"]
    missed = [o for o in outcomes if o.case.mode == LINEAGE and o.case.intended is not None and o.verdict != "right"]
    touched = [o for o in outcomes if _needs_nothing(o.case) and (o.healed or o.changed or (o.quarantine and o.verdict != "unfit"))]
    known = [o for o in outcomes if o.case.mode == LINEAGE and o.case.intended is not None]
    figure("known renames healed right", f"{len(known) - len(missed)} of {len(known)}", "all", not missed)
    figure("wrong heals", f"{len(wrong)} of {len(outcomes)}", "0", not wrong)
    figure("fitting writes touched", f"{len(touched)} of {sum(_needs_nothing(o.case) for o in outcomes)}", "0", not touched)
    print(f"\nwrong heals {len(wrong)}, known renames not healed {len(missed)}, false heals of healthy writes {len(touched)}")
    for outcome in [o for o in outcomes if o.verdict in ("wrong", "failed", "refused", "unjudged") or o in touched or o in missed][:show]:
        case = outcome.case
        told = f"{outcome.healed} {outcome.changed} {outcome.note}"
        print(f"  {outcome.verdict}: {case.kind} {case.table} {outcome.status} {told}")
    return int(bool(wrong or missed or touched))


def _needs_nothing(case: Case) -> bool:
    """Whether it fits as it is."""
    return case.source == "healthy" or (
        case.source == "names" and case.mode == LINEAGE and case.intended == case.row and "table" not in case.kind
    )


def _options() -> argparse.Namespace:
    parser = arguments(argparse.ArgumentParser(prog="python -m benchmarks.healing", description=__doc__))
    parser.add_argument("--sample", type=int, default=0, help="so many cases of each source (default: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", type=int, default=20, help="print so many bad outcomes")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
