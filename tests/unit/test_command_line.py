"""``manage.py`` as a newcomer runs it: with whichever Python is at hand."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import django
import pytest

ROOT = Path(__file__).resolve().parents[2]
BARE = [str(getattr(sys, "_base_executable", sys.executable)), "-I", "-S"]
"""The Python below the virtual environment, without any package."""


@pytest.mark.skipif(not (ROOT / ".venv/bin/python").exists(), reason="no .venv: make install")
def test_any_python_runs_commands_with_what_make_installed() -> None:
    done = subprocess.run([*BARE, str(ROOT / "manage.py"), "version"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, django.get_version()), done.stderr


def test_a_python_without_packages_and_without_ours_says_what_to_run(tmp_path: Path) -> None:
    shutil.copy(ROOT / "manage.py", tmp_path)
    done = subprocess.run([*BARE, str(tmp_path / "manage.py"), "up"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "lacks what Mendgate needs" in done.stderr and "make install" in done.stderr


def test_a_home_that_cannot_be_written_is_told_and_nothing_else() -> None:
    given = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE" and not name.endswith("_URL")} | {
        "MENDGATE_HOME": "/proc/nowhere"
    }
    command = [sys.executable, str(ROOT / "manage.py"), "check"]
    done = subprocess.run(command, env=given, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "mendgate.E011" in done.stderr and "Set MENDGATE_HOME to a directory of this user." in done.stderr
    assert "Warning" not in done.stderr and "Traceback" not in done.stderr
