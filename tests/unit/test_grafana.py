"""The Grafana dashboard asks only for what ``/metrics`` gives."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from metrics.core.names import METRICS

FILE = Path(__file__).parents[2] / "deploy" / "grafana" / "mendgate.json"
GAUGES = {
    "mendgate_quarantine_items": {"state"},
    "mendgate_quarantine_oldest_seconds": set(),
    "mendgate_proposals_open": set(),
}
_USE = re.compile(r"\b((?:mendgate|db_client|gen_ai)_\w+)(?:\{([^}]*)\})?")
_BY = re.compile(r"by \(([^)]*)\)")


def expressions() -> list[str]:
    board: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]] + [a["expr"] for a in board["annotations"]["list"]]


@pytest.mark.parametrize("expression", expressions())
def test_every_name_and_label_exists(expression: str):
    used = _USE.findall(expression)
    assert used
    known: set[str] = {"le"}
    for name, chosen in used:
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        labels = set(METRICS[base].labels) if base in METRICS else GAUGES[base]
        known |= labels
        assert {part.split("=")[0].strip("~! ") for part in chosen.split(",") if part} <= labels
    for group in _BY.findall(expression):
        assert {label.strip() for label in group.split(",")} <= known


def test_panels_do_not_overlap_and_have_titles():
    board = json.loads(FILE.read_text("utf-8"))
    cells = [
        (x, y)
        for panel in board["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells)) and all(panel["title"] for panel in board["panels"])
