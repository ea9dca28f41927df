"""The page of functions as values: how far they are, the way there, what to move next, what is wrong."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from healing.core.sources.findings import RULES
from healing.scan_models import ScanRun

BARS = 60
PLACES = 6
"""told of one cause; the rest is counted."""
_HEIGHT = 100.0


class Bar(Struct, frozen=True):
    """One scan in the picture: from the bottom, functions that are moved, partly moved, and direct. In units of the picture."""

    x: str
    width: str
    parts: tuple[tuple[str, str, str], ...]
    """(state, y, height)"""
    says: str


class Progress(Struct, frozen=True):
    """Of one folder. ``run`` is the newest scan, ``before`` the one that it is compared with."""

    run: ScanRun
    before: ScanRun | None
    folders: tuple[str, ...]
    bars: tuple[Bar, ...]
    runs: tuple[ScanRun, ...]
    functions: tuple[dict[str, Any], ...]
    steps: tuple[dict[str, Any], ...]
    findings: tuple[dict[str, Any], ...]


def progress(folder: str = "") -> Progress | None:
    """Of that folder, or of the one that was scanned last; None before the first scan."""
    folders = tuple(ScanRun.objects.order_by("folder").values_list("folder", flat=True).distinct())
    run = ScanRun.objects.filter(folder=folder).first() or ScanRun.objects.first()
    if run is None:
        return None
    slim = ScanRun.objects.filter(folder=run.folder).defer("functions", "order", "findings")
    runs = list(slim[:BARS])
    return Progress(
        run, runs[-1] if len(runs) > 1 else None, folders, _bars(runs[::-1]), tuple(runs), tuple(_functions(run)), tuple(run.order[:8]),
        tuple(_findings(run)),
    )  # fmt: skip


def _bars(runs: list[ScanRun]) -> tuple[Bar, ...]:
    """The oldest first; every bar as high as its functions with something to move."""
    most = max((run.moved + run.to_move for run in runs), default=0) or 1
    step = 600 / max(len(runs), 12)
    return tuple(_bar(run, number * step, step * 0.8, _HEIGHT / most) for number, run in enumerate(runs))


def _bar(run: ScanRun, x: float, width: float, unit: float) -> Bar:
    parts, top = [], _HEIGHT
    for state, count in (("moved", run.moved), ("partly", run.partly), ("direct", run.direct)):
        top -= count * unit
        if count:
            parts.append((state, f"{top:.2f}", f"{count * unit:.2f}"))
    says = f"{run.created_at:%Y-%m-%d %H:%M}: {run.moved} moved, {run.partly} partly, {run.direct} direct, {run.errors} errors"
    return Bar(f"{x:.2f}", f"{width:.2f}", tuple(parts), says)


def _functions(run: ScanRun) -> list[dict[str, Any]]:
    """In the order to move them; the rest after them by name."""
    turn = {step["name"]: number for number, step in enumerate(run.order, 1)}
    rows = [{**function, "turn": turn.get(function["name"])} for function in run.functions]
    return sorted(rows, key=lambda row: (row["turn"] or len(rows) + 1, row["name"]))


def _findings(run: ScanRun) -> list[dict[str, Any]]:
    """One row a cause, with all its places; errors first, then the most frequent."""
    causes: dict[tuple[str, ...], dict[str, Any]] = {}
    for each in run.findings:
        same = (each["rule"], each["level"], each["message"], each["fix"], repr(each.get("diff")))
        row = causes.setdefault(same, {**each, "says": RULES[each["rule"]].says if each["rule"] in RULES else "", "places": []})
        row["places"].append(f"{each['place']['file']}:{each['place']['line']}")
    for row in causes.values():
        row["more"] = max(0, len(row["places"]) - PLACES)
        row["places"] = row["places"][:PLACES]
    rank = {"error": 0, "warning": 1, "note": 2}
    return sorted(causes.values(), key=lambda row: (rank.get(row["level"], 3), -len(row["places"]) - row["more"]))
