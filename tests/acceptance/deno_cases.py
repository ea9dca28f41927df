"""Cases in TypeScript, run by the real Deno (or Node); each is one test here."""

from __future__ import annotations

import os
import re
import shutil
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


def cases(files: Iterable[str], where: Path = DENO) -> list[tuple[str, str]]:
    """File and name of each case in these files."""
    return [(file, name) for file in files for name in CASE.findall((where / file).read_text("utf-8"))]


def run(files: Iterable[str], environment: Mapping[str, str], home: Path, where: Path = DENO) -> Results:
    """Runs the files once, with that environment and little else."""
    report = home / "report.xml"
    done = deno(["test", *OFFLINE, f"--junit-path={report}", *files], environment, home, where)
    assert report.exists(), done.stdout + done.stderr
    return _results(report)


def run_on_node(files: Iterable[str], environment: Mapping[str, str], home: Path, package: Path) -> Results:
    """The same on Node: the files of ``package``/test, which use node:test, bundled for it."""
    built = package / "node_modules/.cases" / home.name  # where Node finds the packages that they import
    words = ["--bundle", "--platform=node", "--format=esm", "--packages=external", "--out-extension:.js=.mjs", f"--outdir={built}"]
    sources = [str(package / "test" / file) for file in files]
    subprocess.run([package / "node_modules/.bin/esbuild", "--log-level=error", *words, *sources], check=True)
    report = home / "report.xml"
    names = [str(built / file.replace(".ts", ".mjs")) for file in files]
    how = ["--test-concurrency=1", "--test-timeout=180000", "--test-reporter=junit", f"--test-reporter-destination={report}"]
    words = ["node", "--test", *how, *names]
    done = _started(words, environment, home, package)
    shutil.rmtree(built)
    assert report.exists(), done.stdout + done.stderr
    found = _results(report)
    return {(file, name): found[key] for file, name in cases(files, package / "test") for key in found if key[1] == name}


def deno(words: list[str], environment: Mapping[str, str], home: Path, where: Path) -> subprocess.CompletedProcess[str]:
    """One command of Deno, with that environment and little else."""
    return _started([str(BINARY), *words], {"DENO_DIR": str(home / "cache"), "DENO_NO_UPDATE_CHECK": "1", **environment}, home, where)


def _started(words: list[str], environment: Mapping[str, str], home: Path, where: Path) -> subprocess.CompletedProcess[str]:
    env = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    env |= {"HOME": str(home), "NO_COLOR": "1", **environment}
    return subprocess.run(words, cwd=where, env=env, capture_output=True, text=True, check=False, timeout=900)


def check(results: Results, file: str, name: str) -> None:
    """Fails where that case did."""
    assert (file, name) in results, "the case did not run: " + "\n".join(results.values())[:3000]
    assert not results[file, name], results[file, name]


def _results(report: Path) -> Results:
    return {(_file(case), case.get("name", "")): _trouble(case) for case in ElementTree.parse(report).iter("testcase")}  # noqa: S314 - our own


def _file(case: ElementTree.Element) -> str:
    return Path(case.get("classname", "")).name


def _trouble(case: ElementTree.Element) -> str:
    found = [*case.findall("failure"), *case.findall("error")]
    return "\n".join(part.get("message", "") + "\n" + (part.text or "") for part in found)
