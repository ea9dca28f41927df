"""The documents name only what exists."""

from __future__ import annotations

import re
from collections import UserDict
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from healing.api import api
from metrics.core.names import METRICS
from metrics.core.summary import NUMBERS
from resilience_site.config import load
from resilience_site.gameday.faults import FAULTS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
APPS = ("resilience_site", "healing", "schema_monitor", "breakers", "metrics", "optimizer")
CODE = re.compile(r"`((?:resilience_site|healing|schema_monitor|breakers|metrics|optimizer|templates|tests|docs)(?:/[\w.\-/]+)?)`")
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_path_and_link_leads_somewhere(document: Path) -> None:
    text = document.read_text("utf-8")
    missing = [name for name in CODE.findall(text) if not (ROOT / name).exists()]
    missing += [link for link in LINK.findall(text) if not (document.parent / link).exists()]
    assert missing == []


def places() -> set[str]:
    """What the map names of our code: files, directories below an app, patterns. A name alone is beside the last path of its line."""
    found = set()
    for line in (ROOT / "docs/architecture.md").read_text("utf-8").splitlines():
        beside = ""
        for name in re.findall(r"`([\w./*-]+)`", line):
            if name.startswith(tuple(f"{app}/" for app in APPS)):
                found.add(name)
                beside = name if (ROOT / name).is_dir() else name.rpartition("/")[0]
            elif beside and "/" not in name and name.endswith((".py", "*")):
                found.add(f"{beside}/{name}")
    return found


def test_every_module_has_its_place_on_the_map_and_nothing_else_has_one() -> None:
    """By itself, by a pattern, or by its directory (an app's own says too little)."""
    named = places()
    patterns = [place for place in named if place.endswith("*")]
    files = (path.relative_to(ROOT) for app in APPS for path in (ROOT / app).rglob("*.py") if path.name != "__init__.py")
    modules = [path for path in files if "migrations" not in path.parts]
    assert len(modules) > 700
    lost = [
        str(module)
        for module in modules
        if not {str(module), *map(str, module.parents)} & named and not any(fnmatch(str(module), pattern) for pattern in patterns)
    ]
    assert lost == [], "say in docs/architecture.md what they do"
    assert [place for place in sorted(named) if not any(ROOT.glob(place))] == []


def test_every_dependency_has_a_line_of_why() -> None:
    asked = "".join((ROOT / name).read_text("utf-8") for name in ("requirements-serve.in", "requirements.in", "requirements-deploy.in"))
    names = [re.split(r"[\[=<> #]", line)[0] for line in asked.splitlines() if line and not line.startswith(("#", "-r"))]
    why = (ROOT / "docs/dependencies.md").read_text("utf-8")
    assert [name for name in names if not re.search(rf"\b{re.escape(name)}\b", why)] == []


def test_every_test_that_the_security_page_names_exists() -> None:
    named = set(re.findall(r"\btest_\w{12,}(?!\w|\.py)", (ROOT / "docs/security.md").read_text("utf-8")))
    written = {name for path in (ROOT / "tests").glob("*/test_*.py") for name in re.findall(r"def (test_\w+)", path.read_text("utf-8"))}
    files = {path.stem for path in (ROOT / "tests").glob("*/test_*.py")}
    assert len(named) > 40 and named - written - files == set()


class Noted(UserDict[str, str]):
    """An environment that notes what is asked of it."""

    def __init__(self, **given: str) -> None:
        self.names: set[str] = set()
        super().__init__(given)

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name.removesuffix("_FILE"))
        return super().get(name, default)


def test_the_page_of_settings_names_every_one_and_no_other(tmp_path: Path) -> None:
    """What the configuration reads, in the first column of the table; what only the code may set is no setting."""
    environment = Noted(MENDGATE_HOME=str(tmp_path))
    load(environment)
    lines = (ROOT / "docs/howto/configure.md").read_text("utf-8").splitlines()
    told = {name for line in lines if line.startswith("| `") for name in re.findall(r"`([A-Z_]+)`", line.split("|")[1])}
    assert environment.names == told


def test_what_pages_call_a_setting_is_one() -> None:
    """A name in capitals that ends like a number of ours."""
    told = (ROOT / "docs/howto/configure.md").read_text("utf-8")
    ours = re.compile(r"`([A-Z]+(?:_[A-Z]+)*_(?:DAYS|SECONDS|RATE|HOUR|DAY))`")
    named = {name: document.name for document in DOCUMENTS for name in ours.findall(document.read_text("utf-8"))}
    assert {name: where for name, where in named.items() if f"`{name}`" not in told} == {}


REFERENCE = "".join(page.read_text("utf-8") for page in sorted((ROOT / "docs/reference").glob("*.md")))
CODES = sorted(path for app in APPS for path in (ROOT / app).rglob("*.py"))


def first_column(page: str) -> set[str]:
    """The names in code in the first column of a page's tables."""
    lines = (ROOT / page).read_text("utf-8").splitlines()
    return {name for line in lines if line.startswith("| `") for name in re.findall(r"`([^`]+)`", line.split(" | ")[0])}


def test_the_page_of_commands_names_every_one_and_no_other() -> None:
    ours = {path.stem for app in APPS for path in (ROOT / app).glob("management/commands/[a-z]*.py")}
    assert first_column("docs/reference/commands.md") == ours | {"check", "createsuperuser", "changepassword"}


def test_the_pages_call_only_commands_that_exist() -> None:
    called = {name for document in DOCUMENTS for name in re.findall(r"manage\.py ([a-z_]+)", document.read_text("utf-8"))}
    assert called - first_column("docs/reference/commands.md") == {"migrate"}


def test_the_page_of_figures_names_every_one_and_no_other() -> None:
    gauges = set(re.findall(r'Gauge\("(\w+)"', (ROOT / "healing/gauges.py").read_text("utf-8")))
    numbers = {number.name for number in NUMBERS} | {"quarantine_age"}
    assert gauges and first_column("docs/reference/metrics.md") == {*METRICS, *gauges, *numbers}


def test_every_code_of_our_own_is_explained_and_no_other() -> None:
    raised = {code for path in CODES for code in re.findall(r'"(MG\d{3})"', path.read_text("utf-8"))}
    assert {name for name in first_column("docs/reference/data-api.md") if name.startswith("MG")} == raised


def test_every_header_that_is_answered_is_explained() -> None:
    said = {name for path in CODES for name in re.findall(r'\("(Mendgate-[A-Z]\w+(?:-\w+)*)"', path.read_text("utf-8"))}
    assert len(said) > 8 and {name for name in said if f"`{name}`" not in REFERENCE and f"`{name}:" not in REFERENCE} == set()


def test_every_address_of_the_api_is_explained() -> None:
    addresses = set(api.get_openapi_schema()["paths"])
    assert len(addresses) > 10 and {path for path in addresses if path not in REFERENCE} == set()


def test_the_page_of_game_days_names_every_fault_and_no_other() -> None:
    assert first_column("docs/howto/gameday.md") == set(FAULTS)


def anchors(page: Path) -> set[str]:
    """What GitHub calls the headings of a page."""
    headings = re.findall(r"^#+ (.*)", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


def test_every_link_into_a_page_leads_to_a_heading() -> None:
    links = [(page, *link) for page in DOCUMENTS for link in re.findall(r"\]\(([^)#:]*\.md)?#([\w-]+)\)", page.read_text("utf-8"))]
    assert len(links) > 10
    assert [(str(page), name) for page, path, name in links if name not in anchors(page.parent / path if path else page)] == []


def test_every_target_and_module_that_a_page_runs_exists() -> None:
    told = "".join(page.read_text("utf-8") for page in [*DOCUMENTS, ROOT / "SECURITY.md"])
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:`|^ {4}|^)make ([a-z][a-z-]+)", told, re.MULTILINE)) - targets == set()
    modules = {ROOT / name.rstrip(".").replace(".", "/") for name in re.findall(r"python -m (benchmarks[a-z_.]*)", told)}
    assert {str(path) for path in modules if not path.with_suffix(".py").exists() and not (path / "__main__.py").exists()} == set()
