"""The matcher against the usual methods on real drift, cross-validated by project: ``python -m benchmarks.matching``."""

from __future__ import annotations

from benchmarks.matching import labelled, peers
from benchmarks.matching.cases import SETTINGS, Question, renames, wild
from benchmarks.matching.judge import Answer, answers, calibration_error, false_claims, recall, top_one
from benchmarks.matching.speed import milliseconds
from benchmarks.matching.table import Columns, Labels, questions
from benchmarks.matching.train import as_model, train


def main() -> None:
    """Trains by fold, asks, prints."""
    trained = train(Columns(questions()), Labels())
    models = [as_model(fitted) for fitted in trained.unseen]
    whole = as_model(trained.whole)
    sets: dict[str, list[Question]] = {setting: renames(setting) for setting in SETTINGS} | {"wild": wild()}

    def model_of(project: str) -> object:
        return models[trained.fold_of[project]] if project in trained.fold_of else whole

    everything: list[Answer] = []
    for name, asked in sets.items():
        print(f"\n{name}: {len(asked)} calls")
        print(f"{'':24}{'first right':>12}{'at 0.1 %':>10}{'at 1 %':>8}{'at 5 %':>8}{'>0.5 though none':>18}")
        mine = answers(asked, model_of)
        everything += mine
        _line("mendgate", mine, calibrated=True)
        for peer, measure in peers.MEASURES.items():
            _line(peer, peers.answers(asked, measure))
        _line("difflib, margin", peers.answers(asked, peers.MEASURES["difflib"], margin=True))
    _reliability(everything)
    labelled.report(model_of)
    for columns, time in milliseconds(whole).items():
        print(f"one payload on {columns} columns: p99 {time:.2f} ms")


def _reliability(found: list[Answer]) -> None:
    """What was said beside what was so, in tenths."""
    print(f"\nsaid       n  so        (calibration error {calibration_error(found):.3f})")
    for tenth in range(10):
        inside = [a for a in found if tenth / 10 <= a.score < (tenth + 1) / 10 + (tenth == 9)]
        if inside:
            print(f"{sum(a.score for a in inside) / len(inside):.2f} {len(inside):>7}  {sum(a.right for a in inside) / len(inside):.2f}")
    print("\nworst errors")
    for answer in sorted((a for a in found if not a.right), key=lambda a: -a.score)[:12]:
        print(f"  {answer.score:.2f} {answer.key} -> {answer.column}, in truth {answer.truth}")


def _line(name: str, found: list[Answer], calibrated: bool = False) -> None:
    rates = "".join(f"{100 * recall(found, rate):>{width}.0f}" for rate, width in ((0.001, 10), (0.01, 8), (0.05, 8)))
    claims = f"{100 * false_claims(found):>17.1f}%" if calibrated else ""
    print(f"{name:24}{100 * top_one(found):>11.0f}%{rates}{claims}")


if __name__ == "__main__":
    main()
