"""supabase-js, unmodified, on Deno: every call that ``wire.md`` lists. The cases are in deno/*_test.ts; each is one test here."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.acceptance.bookshop import ADMIN, ANN, BOB, bookshop, token
from tests.acceptance.stagehand import stagehand
from tests.gateway_process import Gateway

DENO = Path(__file__).parent / "deno"
BINARY = DENO / "node_modules/.bin/deno"
CASE = re.compile(r'^test\("((?:[^"\\]|\\.)+)"', re.MULTILINE)
CASES = [(path.name, name) for path in sorted(DENO.glob("*_test.ts")) for name in CASE.findall(path.read_text("utf-8"))]
OFFLINE = ["--allow-all", "--no-check", "--no-lock", "--no-remote", "--cached-only", "--node-modules-dir=manual"]

pytestmark = pytest.mark.skipif(not BINARY.exists(), reason="no Deno: make clients")


@pytest.fixture(scope="module")
def results(make_gateway: Callable[..., Gateway], tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], str]:
    """Runs every file once. What went wrong by file and name of the case; empty = it passed."""
    report = tmp_path_factory.mktemp("deno") / "report.xml"
    with bookshop(make_gateway) as (gateway, console), stagehand(gateway, console) as url:
        done = run(["test", *OFFLINE, f"--junit-path={report}"], environment(gateway, url, report.parent))
    assert report.exists(), done.stdout + done.stderr
    return {(_file(case), case.get("name", "")): _trouble(case) for case in ElementTree.parse(report).iter("testcase")}  # noqa: S314 - our own


@pytest.mark.parametrize(("file", "name"), CASES, ids=[f"{file[:-8]}: {name}" for file, name in CASES])
def test_supabase_js(results: dict[tuple[str, str], str], file: str, name: str) -> None:
    assert (file, name) in results, "the case did not run: " + "\n".join(results.values())[:3000]
    assert not results[file, name], results[file, name]


def environment(gateway: Gateway, stagehand_url: str, home: Path) -> dict[str, str]:
    """What the cases find in their environment."""
    return {
        **{name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ},
        "HOME": str(home),
        "DENO_DIR": str(home / "cache"),
        "DENO_NO_UPDATE_CHECK": "1",
        "NO_COLOR": "1",
        "SUPABASE_URL": gateway.base_url,
        "SERVICE_KEY": gateway.make_key("service_role"),
        "ANON_KEY": gateway.make_key("anon"),
        "ANN": ANN,
        "BOB": BOB,
        "ANN_TOKEN": token(gateway, ANN),
        "BOB_TOKEN": token(gateway, BOB),
        "ADMIN": ADMIN,
        "STAGEHAND_URL": stagehand_url,
    }


def run(words: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Deno, in the folder of the cases."""
    return subprocess.run([str(BINARY), *words], cwd=DENO, env=env, capture_output=True, text=True, check=False, timeout=300)


def _file(case: ElementTree.Element) -> str:
    return Path(case.get("classname", "")).name


def _trouble(case: ElementTree.Element) -> str:
    found = [*case.findall("failure"), *case.findall("error")]
    return "\n".join(part.get("message", "") + "\n" + (part.text or "") for part in found)
