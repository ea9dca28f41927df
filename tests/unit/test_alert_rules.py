"""Prometheus' alerts ask only for what ``/metrics`` gives, and say what to do and where to read on."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from metrics.core.names import METRICS
from schema_monitor.core.severity import LEVELS
from tests.commands import ROOT
from tests.unit.test_grafana import GAUGES

DIRECTORY = ROOT / "deploy" / "prometheus"
RULES: list[dict[str, Any]] = yaml.safe_load((DIRECTORY / "alerts.yml").read_text("utf-8"))["groups"][0]["rules"]
OTHERS = {"up": {"job"}}  # Prometheus' own
VALUES = {
    "outcome": {"healthy", "healed", "kept", "refused", "failed", "landed"},
    "ok": {"yes", "no"},
    "into": {"open"},
    "severity": set(LEVELS),
    "state": {"waiting"},
    "breaker": {"target-database"},
    "job": {"mendgate"},
}
_USE = re.compile(r"\b((?:mendgate|db_client|gen_ai)_\w+|up)(?:\{([^}]*)\})?")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_name_label_and_value_exists(rule: dict[str, Any]) -> None:
    used = _USE.findall(rule["expr"])
    assert used
    known = {"le", "exported_job"}
    for name, chosen in used:
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        labels = OTHERS.get(base) or (set(METRICS[base].labels) if base in METRICS else GAUGES[base])
        known |= labels
        for label, values in re.findall(r'(\w+)=~?"([^"]*)"', chosen):
            assert label in labels and set(values.split("|")) <= VALUES[label], chosen
    assert {label.strip() for group in re.findall(r"by \(([^)]*)\)", rule["expr"]) for label in group.split(",")} <= known


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_expression_parses(rule: dict[str, Any]) -> None:
    pytest.importorskip("promql_parser").parse(rule["expr"])


def test_an_expression_with_a_hole_does_not_parse() -> None:
    with pytest.raises(ValueError, match=r"\S"):
        pytest.importorskip("promql_parser").parse("sum(increase(x[1h]) > ")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_alert_says_what_happened_what_to_do_and_where_to_read_on(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert {"summary", "action", "runbook"} == rule["annotations"].keys()
    path, _, anchor = rule["annotations"]["runbook"].partition("#")
    headings = {line.lstrip("# ").strip().lower() for line in (ROOT / path).read_text("utf-8").splitlines() if line.startswith("#")}
    assert anchor in headings


def test_prometheus_itself_takes_the_files() -> None:
    if (judge := shutil.which("promtool")) is None:
        pytest.skip("promtool is not installed")
    for words in (
        ["check", "rules", "alerts.yml"],
        ["check", "config", "--syntax-only", "prometheus.yml"],
        ["test", "rules", "alerts.test.yml"],
    ):
        judged = subprocess.run([judge, *words], cwd=DIRECTORY, capture_output=True, text=True, check=False)
        assert judged.returncode == 0, judged.stdout + judged.stderr
