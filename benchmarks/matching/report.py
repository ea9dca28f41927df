"""``docs/reference/matcher-report.md`` and its pictures, from one run: nothing in them is written by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from benchmarks.matching.chart import Line, chart
from benchmarks.matching.curves import precision_by_coverage, reliability
from benchmarks.matching.judge import Answer, calibration_error, false_claims, recall, top_one
from benchmarks.matching.labelled import Row
from benchmarks.matching.spread import TIMES, Spread

DOCS = Path(__file__).resolve().parents[2] / "docs" / "reference"
PICTURES = DOCS / "matcher-pictures"
OURS = "Mendgate"
SETTINGS = {
    "bare": "only the unknown key and the live columns",
    "typical": "each shared column is in the payload with probability 0.7",
    "former": "the former columns are known",
    "carried": "the payload carries all former columns, and nobody says that they are all",
    "wild": "calls of real applications",
}
RATES = (0.001, 0.01, 0.05)
ENOUGH = 200
"""answers from which shares of wrong ones say something"""


class Results(Struct):
    """Everything that one run found."""

    answers: dict[str, dict[str, list[Answer] | None]]
    """setting -> who -> answers; None where a peer is not installed"""
    said: list[Answer]
    """ours in every setting, by models whose curve never saw the project either: for what is said beside what is so"""
    rows: list[Row]
    times: dict[int, float]
    certified: list[str]
    ablation: list[tuple[str, dict[str, tuple[float, float]]]]
    """what was left out -> setting -> first right, recall at 1 % wrong"""
    spread: dict[str, Spread]
    """setting -> mean and deviation over other divisions of the projects"""


def write(results: Results) -> None:
    """The page and its pictures."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    for setting, found in results.answers.items():
        lines = [precision_by_coverage(name, answers) for name, answers in _shown(found)]
        title = f"{setting}: {SETTINGS[setting]}"
        picture = chart(title, "found, of the columns that are right", "right, of what is said", lines)
        (PICTURES / f"{setting}.svg").write_text(picture)
    said = [Line(OURS, [(x, y) for x, y, _ in reliability(results.said)])]
    (PICTURES / "reliability.svg").write_text(chart("Said and so, all settings", "said", "so", said, diagonal=True))
    (DOCS / "matcher-report.md").write_text("\n".join(_page(results)) + "\n")


def _shown(found: dict[str, list[Answer] | None]) -> list[tuple[str, list[Answer]]]:
    """Ours and the best seven of the peers that were asked enough: more lines nobody can tell apart."""
    peers = [(name, answers) for name, answers in found.items() if answers and name != OURS and len(answers) >= ENOUGH]
    best = sorted(peers, key=lambda p: -recall(p[1], 0.05))[:7]
    return [(OURS, found[OURS] or []), *best]


def said_in(results: Results, setting: str) -> list[Answer]:
    """What is said in one setting."""
    return [answer for answer in results.said if answer.question.setting == setting]


def _page(results: Results) -> Iterator[str]:
    yield "# The matcher, measured"
    yield ""
    yield "Made by `python -m benchmarks.matching --write`; do not edit. What the figures mean, and how the matcher works: `matcher.md`."
    yield "Every answer is by a model that never saw the project it is asked about (ten folds by project)."
    yield ""
    yield "## Columns"
    yield ""
    yield "Found: share of the columns that are right which were named, when at most so much of all answers may be wrong, the surest first."
    for setting, found in results.answers.items():
        yield from _setting(setting, found, false_claims(said_in(results, setting)))
    yield from _luck(results.spread)
    yield from _calibration(results)
    yield from _whole_calls(results.rows)
    yield from _certified(results.certified)
    yield from _ablation(results.ablation)
    yield from _errors(results)
    yield ""
    yield "## Time"
    yield ""
    yield "One payload with three keys never seen before, processor time of one core: " + ", ".join(
        f"p99 {time:.2f} ms on {columns} columns" for columns, time in results.times.items()
    )


def _setting(setting: str, found: dict[str, list[Answer] | None], claims: float) -> Iterator[str]:
    ours = found[OURS] or []
    yield ""
    yield f"### {setting}: {SETTINGS[setting]}"
    yield ""
    yield f"{len(ours)} keys, {sum(a.truth is not None for a in ours)} of them have a column."
    yield ""
    yield "| | first right | 0.1 % wrong | 1 % wrong | 5 % wrong |"
    yield "|---|---|---|---|---|"
    for name, answers in found.items():
        if answers is None:
            yield f"| {name} | not installed | | | |"
            continue
        if len(answers) < ENOUGH <= len(ours):
            asked = {(a.question.group, a.key) for a in answers}
            same = top_one([a for a in ours if (a.question.group, a.key) in asked])
            yield f"| {name} | {top_one(answers):.0%} (Mendgate on the same: {same:.0%}) | too few asked | | |"
            continue
        rates = " | ".join(f"{recall(answers, rate):.0%}" for rate in RATES)
        yield f"| {name} | {top_one(answers):.0%} | {rates} |"
    yield ""
    yield f"Above one half though there is none: {claims:.1%}."
    yield from _doubtful(ours)
    yield ""
    yield f"![precision by coverage, {setting}](matcher-pictures/{setting}.svg)"


def _doubtful(ours: list[Answer]) -> Iterator[str]:
    """The same without what the data itself doubts; it is counted above."""
    sure = [a for a in ours if a.question.clean and (a.right or a.column not in a.question.unsure)]
    if len(sure) < len(ours):
        rates = ", ".join(f"{recall(sure, rate):.0%} at {rate:.1%}" for rate in RATES)
        yield (
            f"{len(ours) - len(sure)} of the answers are to removals that the data itself marks as doubtful, or name a column that was "
            f"added shortly before the key was dropped: it may well have replaced it. They are counted above; without them: {rates}."
        )


def _luck(found: dict[str, Spread]) -> Iterator[str]:
    if not found:
        return
    yield ""
    yield "## How much of it is luck"
    yield ""
    yield f"Trained by fold {TIMES} times more, with other divisions of the projects and other chances: mean and standard deviation."
    yield ""
    names = list(next(iter(found.values())).told)
    yield "| | " + " | ".join(names) + " |"
    yield "|---|" + "---|" * len(names)
    for setting, spread in found.items():
        yield f"| {setting} | " + " | ".join(f"{100 * mid:.1f} ± {100 * wide:.1f}" for mid, wide in spread.told.values()) + " |"


def _calibration(results: Results) -> Iterator[str]:
    everything = results.said
    yield ""
    yield "## Said and so"
    yield ""
    yield f"Expected calibration error over all settings {calibration_error(everything):.3f}, " + ", ".join(
        f"{setting} {calibration_error(said_in(results, setting)):.3f}" for setting in results.answers
    )
    yield ""
    yield "| said | so | answers |"
    yield "|---|---|---|"
    for said, so, count in reliability(everything):
        yield f"| {said:.2f} | {so:.2f} | {count} |"
    yield ""
    yield "![said and so](matcher-pictures/reliability.svg)"


def _whole_calls(rows: list[Row]) -> Iterator[str]:
    yield ""
    yield "## Whole calls of real applications, through the front door"
    yield ""
    yield "| problem | right proposal first | among those offered | above one half where there is none |"
    yield "|---|---|---|---|"
    for row in rows:
        none = f"{row.claimed} of {row.none}" if row.none else ""
        yield f"| {row.problem} | {row.first} of {row.have} | {row.offered} | {none} |"
    both = [row for row in rows if "column" in row.problem or "enum" in row.problem]
    yield ""
    yield f"Columns and values together: {sum(r.first for r in both)} of {sum(r.have for r in both)} first right."


def _certified(lines: list[str]) -> Iterator[str]:
    yield ""
    yield "## What policy `certified` would apply by itself"
    yield ""
    yield "Over all labelled causes as shipped, then in simulated years (`benchmarks/matching/certified.py`)."
    yield ""
    yield from (f"* {line}" for line in lines)


def _ablation(found: list[tuple[str, dict[str, tuple[float, float]]]]) -> Iterator[str]:
    if not found:
        return
    yield ""
    yield "## What each part is worth"
    yield ""
    yield "Trained anew without it: first right, found at 1 % wrong. (One forest, five folds: the first line differs a little from above.)"
    yield ""
    settings = list(found[0][1])
    yield "| left out | " + " | ".join(settings) + " |"
    yield "|---|" + "---|" * len(settings)
    for name, by in found:
        yield f"| {name} | " + " | ".join(f"{by[s][0]:.0%}, {by[s][1]:.0%}" for s in settings) + " |"


def _errors(results: Results) -> Iterator[str]:
    yield ""
    yield "## The worst errors"
    for setting in results.answers:
        wrong = sorted((a for a in results.answers[setting][OURS] or [] if not a.right and a.column), key=lambda a: -a.score)[:8]
        yield ""
        yield f"{setting}: " + " · ".join(f"`{a.key} -> {a.column}` {a.score:.2f} ({_truth(a)})" for a in wrong)


def _truth(answer: Answer) -> str:
    return f"in truth `{answer.truth}`" if answer.truth else "in truth none"
