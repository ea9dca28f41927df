"""A key that is planted is found; what is made up, and said to be, is not."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from healing.gateway import keytext
from tests.commands import ROOT

SCRIPT = ROOT / ".ci" / "find_secrets.py"


@pytest.fixture(scope="module")
def finder() -> ModuleType:
    spec = importlib.util.spec_from_file_location("find_secrets", SCRIPT)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# Put together here, so that this file itself holds none.
PLANTED = {
    "an API key of ours": lambda: keytext.make()[0],
    "a key of a cloud": lambda: "AKIA" + "Q3EGRT5XJ7L2PZ4N",
    "a private key": lambda: "-----BEGIN " + "RSA PRIVATE KEY-----",
    "a token of GitHub": lambda: "ghp_" + "0123456789abcdefghijkl" + "mnopqrstuvwxyz",
    "a password in a URL": lambda: "postgresql://mendgate:" + "x7Kq2vTz9LmW4p" + "@db.example/app",
    "a key of Supabase": lambda: "sb_secret_" + "N7UND0UgjKTVK-Uodkm0Hg_xSvEMPvz",
    "random letters": lambda: "SECRET_KEY=" + "qV3zT8mJxW1nRk5YpB7c" + "Gd2LhSf9aEuKo4Nw0Zti",
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_planted_secret_is_found(finder: ModuleType, what: str) -> None:
    text = f"first line\nsomething {PLANTED[what]()} \n"
    assert [found.line for found in finder.search("deploy/some.yaml", text)][:1] == [2]


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://user:password@db.example:5432/app",
        "postgresql://me:${PASSWORD}@db.example/app",
        "mg_aB3dE5gH_" + "0123456789abcdefghijklmnop" + "qrstuvwxyzABCDEG",
        'key = "tests/integration/test_a_name_that_is_long_and_says_what_it_tests_and_weighs_less.py"',
        "sha = 'deadbeefdeadbeefdeadbeefdeadbeefdeadbeef'",
    ],
)
def test_what_only_looks_like_one_is_not(finder: ModuleType, text: str) -> None:
    assert list(finder.search("x.py", text)) == []


def test_the_whole_check_fails_where_a_key_is_planted_and_shows_no_more_than_its_beginning(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", tmp_path], check=True)  # noqa: S607
    (tmp_path / "notes.md").write_text(f"the key is {(key := keytext.make()[0])}\n")
    judged = subprocess.run([sys.executable, SCRIPT, tmp_path], capture_output=True, text=True, check=False)
    assert judged.returncode == 1
    assert "notes.md:1: API key of Mendgate: mg_" in judged.stderr and key not in judged.stderr
    (tmp_path / "notes.md").write_text("nothing\n")
    assert subprocess.run([sys.executable, SCRIPT, tmp_path], check=False).returncode == 0


def test_what_is_known_says_why_and_holds_no_secret() -> None:
    lines = [line for line in (ROOT / ".ci" / "known-strings.txt").read_text("utf-8").splitlines() if not line.startswith("#")]
    assert all(len(line.split()[0]) == 24 and len(line.split()) > 3 for line in lines)
