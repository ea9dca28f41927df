"""Cases in TypeScript (deno/*_test.ts), run by the real Deno; each is one test here."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest

DENO = Path(__file__).parent / "deno"
BINARY = DENO / "node_modules/.bin/deno"
CASE = re.compile(r'^test\("((?:[^"\\]|\\.)+)"', re.MULTILINE)
OFFLINE = ["--allow-all", "--no-check", "--no-lock", "--no-remote", "--cached-only", "--node-modules-dir=manual"]

Results = dict[tuple[str, str], str]
"""What went wrong by file and name of the case; empty = it passed."""
needs_deno = pytest.mark.skipif(not BINARY.exists(), reason="no Deno: make clients")


def cases(files: Iterable[str]) -> list[tuple[str, str]]:
    """File and name of each case in these files."""
    return [(file, name) for file in files for name in CASE.findall((DENO / file).read_text("utf-8"))]


def run(files: Iterable[str], environment: Mapping[str, str], home: Path) -> Results:
    """Runs the files once, with that environment and little else."""
    report = home / "report.xml"
    env = {
        **{name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ},
        "HOME": str(home),
        "DENO_DIR": str(home / "cache"),
        "DENO_NO_UPDATE_CHECK": "1",
        "NO_COLOR": "1",
        **environment,
    }
    words = [str(BINARY), "test", *OFFLINE, f"--junit-path={report}", *files]
    done = subprocess.run(words, cwd=DENO, env=env, capture_output=True, text=True, check=False, timeout=300)
    assert report.exists(), done.stdout + done.stderr
    return {(_file(case), case.get("name", "")): _trouble(case) for case in ElementTree.parse(report).iter("testcase")}  # noqa: S314 - our own


def check(results: Results, file: str, name: str) -> None:
    """Fails where that case did."""
    assert (file, name) in results, "the case did not run: " + "\n".join(results.values())[:3000]
    assert not results[file, name], results[file, name]


def _file(case: ElementTree.Element) -> str:
    return Path(case.get("classname", "")).name


def _trouble(case: ElementTree.Element) -> str:
    found = [*case.findall("failure"), *case.findall("error")]
    return "\n".join(part.get("message", "") + "\n" + (part.text or "") for part in found)
