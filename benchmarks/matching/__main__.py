"""The matcher against the usual methods on real drift, cross-validated by project: ``python -m benchmarks.matching [--write]``.

``--write`` also asks the slower peers of ``requirements-peers.txt`` and the small language model, measures what each part is worth and
how much is luck, and writes ``docs/reference/matcher-report.md`` with its pictures."""

from __future__ import annotations

import argparse

from benchmarks.figures import figure
from benchmarks.matching import ablation, certified, labelled, peers, report, respelled, spread
from benchmarks.matching.cases import SETTINGS, Question, renames, wild
from benchmarks.matching.judge import Answer, answers, calibration_error, false_claims, recall, top_one
from benchmarks.matching.report import OURS, Results, said_in
from benchmarks.matching.speed import milliseconds
from benchmarks.matching.table import Labels, everything
from benchmarks.matching.train import Judge, as_model, train


def main() -> None:
    """Trains by fold, asks, prints."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.matching", description=__doc__)
    options.add_argument("--write", action="store_true", help="write the report, with the slow peers and the ablation")
    options.add_argument(
        "--language-model", type=int, default=0, help="also ask the small language model so many questions a setting (with --write 20)"
    )
    chosen = options.parse_args()
    table = everything()
    trained = train(table, Labels())
    judge = Judge(trained)
    sets = {setting: renames(setting) for setting in SETTINGS} | {"wild": wild()}
    found = asked(sets, Judge(trained, ranks=True), slow=chosen.write)
    if count := chosen.language_model or (20 if chosen.write else 0):
        for setting, questions in sets.items():
            name, told = peers.by_language_model(questions, count)
            found[setting][name] = told
    said = [answer for questions in sets.values() for answer in answers(questions, judge)]
    parts = ablation.measured(table) if chosen.write else []
    luck = spread.measured(table) if chosen.write else {}
    alone = [*certified.report(judge), *respelled.report()]
    results = Results(found, said, labelled.rows(judge), milliseconds(as_model(trained.whole)), alone, parts, luck)
    show(results)
    if chosen.write:
        report.write(results)


def asked(sets: dict[str, list[Question]], judge: Judge, slow: bool) -> dict[str, dict[str, list[Answer] | None]]:
    """Ours and the peers in every setting."""
    return {name: {OURS: answers(questions, judge), **dict(peers.all_answers(questions, slow))} for name, questions in sets.items()}


def show(results: Results) -> None:
    """Prints everything but the pictures."""
    for setting, found in results.answers.items():
        print(f"\n{setting:30}{'first right':>12}{'at 0.1 %':>10}{'at 1 %':>8}{'at 5 %':>8}")
        for name, told in found.items():
            print(_line(name, told) if told is not None else f"{name:30} not installed")
        print(f"above one half though there is none: {false_claims(said_in(results, setting)):.1%}")
    print()
    for row in results.rows:
        print(f"{row.problem:42} first {row.first}/{row.have}, offered {row.offered}; claimed though none {row.claimed}/{row.none}")
    print("\n".join(results.certified))
    _figures(results)


def _line(name: str, found: list[Answer]) -> str:
    rates = "".join(f"{100 * recall(found, rate):>{width}.0f}" for rate, width in ((0.001, 10), (0.01, 8), (0.05, 8)))
    return f"{name:30}{100 * top_one(found):>11.0f}%{rates}"


AIMS = (("bare", 0.01, 0.25), ("typical", 0.01, 0.36), ("former", 0.01, 0.85), ("former", 0.001, 0.40))


def _figures(results: Results) -> None:
    for setting, rate, aim in AIMS:
        found = recall(results.answers[setting][OURS] or [], rate)
        figure(f"matcher, {setting}: found at {rate:.1%} wrong", f"{found:.0%}", f">= {aim:.0%}", found >= aim)
    both = [r for r in results.rows if "column" in r.problem or "enum" in r.problem]
    first = sum(r.first for r in both) / sum(r.have for r in both)
    figure("matcher, wild: columns and values first right", f"{first:.0%}", ">= 70%", first >= 0.7)
    silent = 1 - false_claims(said_in(results, "wild"))
    figure("matcher, wild: silent where there is none", f"{silent:.0%}", ">= 85%", silent >= 0.85)
    error = calibration_error(results.said)
    figure("matcher: calibration error", f"{error:.3f}", "<= 0.03", error <= 0.03)
    for columns, aim in ((50, 2.0), (300, 10.0)):
        figure(f"matcher: p99 on {columns} columns", f"{results.times[columns]:.2f} ms", f"< {aim:.0f} ms", results.times[columns] < aim)


if __name__ == "__main__":
    main()
