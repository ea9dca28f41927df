"""``manage.py`` as a newcomer runs it: with whichever Python is at hand."""

from __future__ import annotations

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
