"""A second chance for what a busy machine may have broken: where at most five tests of a run in several processes failed, these are run
once more, alone. Only what passes then is no failure of the run, and it is named loudly, with how it failed. ``AGAIN=0``: never.

Hooks of pytest (tests/conftest.py).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

MOST = 5
PASSED_ALONE = "failed beside others, passed alone"
TELL = "AGAIN_TELL"
"""Names the file into which the second run writes what passed."""


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Generator[None, object, object]:
    """After the tests, and before anything is said of them."""
    done = yield
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("AGAIN") != "0" and session.config.getoption("numprocesses", None) and reporter is not None:
        _forgive(session, reporter)
    return done


def _forgive(session: pytest.Session, reporter: pytest.TerminalReporter) -> None:
    failed = [*reporter.stats.get("failed", []), *reporter.stats.get("error", [])]
    names = list(dict.fromkeys(each.nodeid for each in failed))
    if not 0 < len(names) <= MOST or any(not isinstance(each, pytest.TestReport) for each in failed):
        return
    reporter.section(f"{len(names)} failed beside others: once more, alone")
    passed = _alone(session.config, names)
    for kind in ("failed", "error"):
        left = [each for each in reporter.stats.pop(kind, []) if each.nodeid not in passed]
        reporter.stats.update({kind: left} if left else {})
    forgiven = [each for each in failed if each.nodeid in passed]
    reporter.stats.update({PASSED_ALONE: forgiven} if forgiven else {})
    session.testsfailed -= len(forgiven)


def _alone(config: pytest.Config, names: list[str]) -> set[str]:
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "passed.json"
        words = [sys.executable, "-m", "pytest", "-n", "0", *(["-c", str(config.inipath)] if config.inipath else []), *names]
        sys.stdout.flush()
        subprocess.run(words, cwd=config.rootpath, env={**os.environ, "AGAIN": "0", TELL: str(told)}, check=False)
        return set(json.loads(told.read_text("utf-8"))) if told.exists() else set()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How those failed that were forgiven; what passed, to who asked for a second run."""
    for report in terminalreporter.stats.get(PASSED_ALONE, []):
        terminalreporter.section(f"{PASSED_ALONE}: look at it", red=True)
        terminalreporter.write_line(report.nodeid, red=True)
        report.toterminal(terminalreporter._tw)
        for title, text in report.sections:
            terminalreporter.write_line(f"--- {title}\n{text}")
    for name in dict.fromkeys(report.nodeid for report in terminalreporter.stats.get(PASSED_ALONE, [])):
        terminalreporter.write_line(f"{PASSED_ALONE.upper()}: look at it: {name}", red=True, bold=True)
    if TELL in os.environ:
        bad = {each.nodeid for kind in ("failed", "error") for each in terminalreporter.stats.get(kind, [])}
        passed = {each.nodeid for each in terminalreporter.stats.get("passed", []) if each.when == "call"} - bad
        Path(os.environ[TELL]).write_text(json.dumps(sorted(passed)), "utf-8")
