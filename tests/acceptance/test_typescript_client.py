"""The TypeScript client (clients/typescript) against the real gateway: the same cases on Deno and on Node, its examples, its size."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance import deno_cases
from tests.acceptance.bookshop import ANN, token
from tests.acceptance.console import Console
from tests.acceptance.stagehand import stagehand
from tests.commands import ROOT
from tests.gateway_process import Gateway

CLIENT = ROOT / "clients/typescript"
FILES = sorted(path.name for path in (CLIENT / "test").glob("*.test.ts"))
CASES = deno_cases.cases(FILES, CLIENT / "test")
SIZE = 15_000
ENTRIES = {
    "everything": "export * from './src/mod.ts'",
    "the database": "export {createResilientDb, withReceipt} from './src/mod.ts'",
    "breakers": "export {circuitBreakerRegistry} from './src/mod.ts'",
    "schema": "export {createSchemaVersionManager} from './src/mod.ts'",
    "performance": "export {performanceMonitor} from './src/mod.ts'",
}

needs_packages = pytest.mark.skipif(not (CLIENT / "node_modules").exists(), reason="no packages: make clients")
pytestmark = [deno_cases.needs_deno, needs_packages]


@pytest.fixture(scope="module")
def stage(make_gateway: Callable[..., Gateway]) -> Iterator[Stage]:
    """A gateway in front of a few tables."""
    gateway = make_gateway(DJANGO_SETTINGS_MODULE="resilience_site.settings")
    with Console(gateway.environment) as console:
        key = console.run("create_api_key", "--role", "service_role", "--name", "test").strip()
        gateway.start()
        with stagehand(gateway, console) as url:
            yield Stage(gateway, console, key, url)
        gateway.stop()


class Stage:
    """The gateway, and an operator's hand. ``set`` gives fresh tables, one column renamed, and what a client finds in its environment."""

    def __init__(self, gateway: Gateway, console: Console, key: str, stagehand_url: str) -> None:
        self.gateway, self.console = gateway, console
        self.environment = {
            "SUPABASE_URL": gateway.base_url,
            "SUPABASE_SERVICE_ROLE_KEY": key,
            "ANN_TOKEN": token(gateway, ANN),
            "STAGEHAND_URL": stagehand_url,
        }

    def set(self) -> dict[str, str]:
        self.gateway.sql("DROP TABLE IF EXISTS people, visits, places, items, orders, diaries; TRUNCATE mendgate.idempotency")
        self.gateway.sql((Path(__file__).parent / "typescript_client.sql").read_text("utf-8"))
        self.console.run("capture_schema")
        self.gateway.sql("ALTER TABLE people RENAME COLUMN email TO email_address")
        self.console.run("capture_schema")
        return self.environment


@pytest.fixture(scope="module")
def on_deno(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> deno_cases.Results:
    return deno_cases.run(FILES, stage.set(), tmp_path_factory.mktemp("deno"), CLIENT / "test")


@pytest.fixture(scope="module")
def on_node(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> deno_cases.Results:
    return deno_cases.run_on_node(FILES, stage.set(), tmp_path_factory.mktemp("node"), CLIENT)


@pytest.mark.parametrize(("file", "name"), CASES)
def test_on_deno(on_deno: deno_cases.Results, file: str, name: str) -> None:
    deno_cases.check(on_deno, file, name)


@pytest.mark.parametrize(("file", "name"), CASES)
def test_on_node(on_node: deno_cases.Results, file: str, name: str) -> None:
    deno_cases.check(on_node, file, name)


def test_every_public_name_has_an_example(exported: dict[str, str]) -> None:
    """Functions, classes and values; types say what they are."""
    lacking = [name for name, doc in exported.items() if "```ts" not in doc]
    assert lacking == []


@pytest.fixture(scope="module")
def exported() -> dict[str, str]:
    """Doc comments of what mod.ts exports as a value."""
    names = re.findall(r"(?<!type )\b(\w+)", " ".join(re.findall(r"export \{([^}]*)\}", (CLIENT / "src/mod.ts").read_text("utf-8"))))
    values = [name for name in names if name != "type"]
    sources = "\n".join(path.read_text("utf-8") for path in (CLIENT / "src").glob("*.ts"))
    found = re.findall(r"/\*\*((?:(?!\*/).)*)\*/\s*(?://[^\n]*\s*)*export (?:async )?(?:function|class|const) (\w+)", sources, re.DOTALL)
    docs = {name: doc for doc, name in found}
    return {name: docs.get(name, "") for name in values}


def test_the_examples_run(stage: Stage, tmp_path: Path) -> None:
    done = deno_cases.deno(["test", *deno_cases.OFFLINE, "--doc", "src/", "README.md"], stage.set(), tmp_path, CLIENT)
    assert done.returncode == 0, done.stdout + done.stderr
    ran = re.search(r"(\d+) passed", done.stdout)
    assert ran and int(ran[1]) >= 18, done.stdout


def test_the_types_hold_on_deno_and_for_npm(tmp_path: Path) -> None:
    """tsc writes what npm gets, with a type for each export; deno reads the same sources."""
    built = subprocess.run([CLIENT / "node_modules/.bin/tsc", "-p", ".", "--outDir", tmp_path], cwd=CLIENT, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout
    assert {path.name for path in tmp_path.glob("mod.*")} == {"mod.js", "mod.d.ts"}
    assert not re.search(r"from \"[^\"]*\.ts\"", (tmp_path / "mod.js").read_text("utf-8"))
    offline = [word for word in deno_cases.OFFLINE if word not in ("--allow-all", "--no-check")]
    checked = deno_cases.deno(["check", *[w for w in offline if w != "--cached-only"], "src/mod.ts"], {}, tmp_path, CLIENT)
    assert checked.returncode == 0, checked.stderr


@pytest.mark.parametrize("what", ENTRIES)
def test_it_is_small(what: str) -> None:
    """Over the wire all of it, and minified each part, is below 15 kB."""
    esbuild = CLIENT / "node_modules/.bin/esbuild"
    words = [esbuild, "--bundle", "--minify", "--format=esm", "--target=es2022", "--loader=ts"]
    bundle = subprocess.run(words, cwd=CLIENT, input=ENTRIES[what].encode(), capture_output=True, check=True).stdout
    assert len(gzip.compress(bundle)) < SIZE
    if what != "everything":
        assert len(bundle) < SIZE
    assert b"import" not in re.sub(rb"import\(", b"", bundle), "it must depend on nothing"


def test_nothing_of_it_names_a_registry() -> None:
    assert not re.search(r'"resolved"', (CLIENT / "package-lock.json").read_text("utf-8"))
    assert os.access(CLIENT / "README.md", os.R_OK)
