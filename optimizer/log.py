"""What the optimization log shows: what changed itself and why, expected against measured, and each tuned setting over time."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from msgspec import Struct

from optimizer import inforce
from optimizer.core import picture
from optimizer.core.calibration import Calibration, Kept, score
from optimizer.core.knobs import KNOBS
from optimizer.core.ramp import SHARES
from optimizer.models import Experiment, Proposal, Setting

MOST = 100
KINDS = {
    "rule": "rule", "merge": "rules merged", "demote": "rule demoted", "prove": "rule proven", "cause": "common failure",
    "setting": "setting", "breaker": "breaker", "prompt": "prompt",
}  # fmt: skip


class Line(Struct, frozen=True):
    """A proposal as the log tells it. ``who``: of the last decision."""

    row: Any
    kind: str
    bars: picture.Pair
    who: str
    at: datetime
    why: str
    can_decide: bool
    can_undo: bool


class Tried(Struct, frozen=True):
    """An experiment that runs: how far it is, and what was seen of each arm."""

    row: Any
    share: str
    control: int
    candidate: int
    pairs: int


class Told(Struct, frozen=True):
    """A tuned setting, and its values over time."""

    row: Any
    title: str
    value: str
    steps: picture.Steps
    since: datetime
    table: list[tuple[Any, str, str]]


def lines(state: str = "", kind: str = "") -> list[Line]:
    """The newest first; ``state`` and ``kind`` narrow."""
    rows = Proposal.objects.select_related("experiment").prefetch_related("decisions").order_by("-changed_at")
    rows = rows.filter(state=state) if state in Proposal.State.values else rows
    rows = rows.filter(kind=kind) if kind in KINDS else rows
    return [_line(row) for row in rows[:MOST]]


def _line(row: Proposal) -> Line:
    last = next(iter(row.decisions.all()), None)
    tried = hasattr(row, "experiment")
    return Line(
        row, KINDS.get(row.kind, row.kind), picture.pair(row.expected, row.measured), last.who if last else "", row.changed_at, row.why,
        row.state == Proposal.State.OPEN and row.kind not in ("rule", "cause"),
        tried and row.state in (Proposal.State.TRYING, Proposal.State.ADOPTED),
    )  # fmt: skip


def running() -> list[Tried]:
    """What is being tried now."""
    found = []
    for row in Experiment.objects.filter(state="running").select_related("proposal", "setting"):
        harm, turns = row.seen.get("harm", {}), row.seen.get("turns", {})
        share = "all" if row.mode == "after" else f"{SHARES[row.stage]:.0%}"
        arms = [harm.get(arm, {}).get("all", 0) for arm in ("control", "candidate")]
        found.append(Tried(row, share, arms[0], arms[1], turns.get("count", 0)))
    return found


def settings() -> list[Told]:
    """Every setting that was ever tuned."""
    rows = Setting.objects.exclude(revision=None).prefetch_related("revisions__proposal").order_by("name", "place")
    return [_told(row) for row in rows]


def _told(row: Setting) -> Told:
    revisions = sorted(row.revisions.all(), key=lambda r: r.number)
    now, first = timezone.now(), revisions[0].at
    since = min(first, now - timedelta(days=7))
    words = sorted({str(r.value) for r in revisions})
    values = [(r.at.timestamp(), _number(r.value, words), f"{_said(r.value)} by {r.who}: {r.why}", _kind(r)) for r in revisions]
    in_force = inforce.value_of(row)
    if revisions and _number(in_force, [*words, str(in_force)]) != values[-1][1]:  # taken back: the pointer went to an older one
        undone = revisions[-1].proposal
        back = undone.changed_at if undone is not None else now
        values.append((back.timestamp(), _number(in_force, words), f"{_said(in_force)}: taken back", "back"))
    table = [(r.at, _said(r.value), f"{r.who}: {r.why}") for r in reversed(revisions)]
    title = KNOBS[row.name].title if row.name in KNOBS else row.name.replace("_", " ")
    return Told(row, title, _said(in_force), picture.steps(values, since.timestamp(), now.timestamp()), since, table)


def _kind(revision: Any) -> str:
    if revision.proposal is None:
        return "before"
    return "back" if revision.proposal.state == Proposal.State.ROLLED_BACK else "kept"


def _number(value: Any, words: list[str]) -> float:
    """A word's place among the words of its setting."""
    return float(value) if isinstance(value, int | float) else float(words.index(str(value)) if str(value) in words else 0)


def _said(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def calibrations() -> list[tuple[str, Calibration]]:
    """How well each proposer's promises were kept, the most measured first."""
    found: dict[str, list[Kept]] = {}
    for proposer, expected, measured in Proposal.objects.filter(measured__isnull=False).values_list("proposer", "expected", "measured"):
        if measured is not None and expected.get("metric") == measured.get("metric"):
            kept = Kept(expected["middle"], measured["middle"], expected["low"], expected["high"])
            found.setdefault(proposer, []).append(kept)
    return sorted(((name, score(kept)) for name, kept in found.items()), key=lambda pair: -pair[1].proposals)
