"""The bill of materials lists every package that a lock pins, with its hashes, and says what is shipped."""

from __future__ import annotations

import hashlib
import json
import subprocess
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from deploy import sbom
from tests.commands import ROOT
from tests.deployed import pinned


@pytest.fixture(scope="module")
def written() -> str:
    return sbom.text(sbom.bill())


@pytest.fixture(scope="module")
def components(written: str) -> dict[str, dict[str, Any]]:
    return {component["purl"]: component for component in json.loads(written)["components"]}


def test_every_pinned_package_of_python_is_listed_with_its_hashes(components: dict[str, dict[str, Any]]) -> None:
    locks = [path.name for path in ROOT.glob("requirements*.txt")]
    assert len(locks) >= 6
    for lock in locks:
        for name, version in pinned(lock).items():
            listed = components[f"pkg:pypi/{name}@{version}"]
            assert listed["hashes"], lock


def test_every_pinned_package_of_npm_is_listed(components: dict[str, dict[str, Any]]) -> None:
    kept = subprocess.run(["git", "ls-files", "*package-lock.json"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()  # noqa: S607
    assert {str(path.relative_to(ROOT)) for path in sbom.npm_locks()} == set(kept) and kept
    listed = {(c["name"], c["version"]) for purl, c in components.items() if purl.startswith("pkg:npm/")}
    for lock in kept:
        packages = json.loads((ROOT / lock).read_text("utf-8"))["packages"]
        assert {(at.rpartition("node_modules/")[2], p["version"]) for at, p in packages.items() if at and "name" not in p} <= listed


def test_what_is_shipped_is_what_the_image_installs_and_the_charts_script(components: dict[str, dict[str, Any]]) -> None:
    shipped = {c["name"] for c in components.values() if c["scope"] == "required"}
    assert shipped == {*pinned("requirements-serve.txt"), sbom.VENDORED[0]}
    bundle = ROOT / sbom.VENDORED[2]
    assert sbom.VENDORED[1].encode() in bundle.read_bytes()[:500]
    assert hashlib.sha256(bundle.read_bytes()).hexdigest().startswith("99784e3a"), "docs/dependencies.md says another"


def test_the_file_is_valid_cyclonedx_and_always_the_same(written: str) -> None:
    assert json.loads(written)["specVersion"] == "1.6"
    assert sbom.text(sbom.bill()) == written
    try:
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(written) is None
    except ImportError:
        pytest.skip("the validator's schemas are not installed")
