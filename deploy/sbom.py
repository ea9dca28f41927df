"""The bill of materials, as CycloneDX 1.6: python -m deploy.sbom [FILE], by default build/mendgate.cdx.json.

Made from the locks alone, so it names what is pinned, not what happens to be installed. ``required``: in the image or shipped with it.
``excluded``: only builds, tests or measures. The same locks give the same file to the letter.
"""

from __future__ import annotations

import base64
import json
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

ROOT = Path(__file__).resolve().parent.parent
SERVE = "requirements-serve.txt"
VENDORED = ("plotly.js-basic-dist-min", "4.1.1", "healing/static/healing/vendor/plotly-basic.min.js")
_PIN = re.compile(r"^([a-z0-9._-]+)==([^\s;\\]+)[^\n]*((?:\n    --hash=sha256:[0-9a-f]{64}[^\n]*)*)", re.MULTILINE)
_HASH = re.compile(r"sha256:([0-9a-f]{64})")


def python_locks() -> list[Path]:
    """What serves first."""
    return [ROOT / SERVE, *sorted(set(ROOT.glob("requirements*.txt")) - {ROOT / SERVE})]


def npm_locks() -> list[Path]:
    """Every one that git keeps; our client itself depends on nothing."""
    return sorted(path for path in ROOT.glob("*/**/package-lock.json") if "node_modules" not in path.parts)


def bill() -> Bom:
    """All components, each once: where several locks pin it, the first one says what for."""
    bom = Bom()
    bom.metadata.component = Component(name="mendgate", version=_version(), type=ComponentType.APPLICATION, bom_ref="mendgate")
    for component in [*_vendored(), *_of_python(), *_of_npm()]:
        if not any(component.bom_ref.value == known.bom_ref.value for known in bom.components):
            bom.components.add(component)
    bom.register_dependency(bom.metadata.component, [c for c in bom.components if c.scope is ComponentScope.REQUIRED])
    return bom


def text(bom: Bom) -> str:
    """As JSON, without time and serial number."""
    made: dict[str, Any] = json.loads(make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string())
    made.pop("serialNumber", None)
    made["metadata"].pop("timestamp", None)
    return json.dumps(made, indent=1, sort_keys=True) + "\n"


def _of_python() -> Iterator[Component]:
    for lock in python_locks():
        for name, version, hashes in _PIN.findall(lock.read_text("utf-8")):
            yield _component("pypi", name, version, _HASH.findall(hashes), lock, required=lock.name == SERVE)


def _of_npm() -> Iterator[Component]:
    for lock in npm_locks():
        for place, package in json.loads(lock.read_text("utf-8"))["packages"].items():
            if place and "version" in package:
                name = package.get("name") or place.rpartition("node_modules/")[2]
                yield _component("npm", name, package["version"], [package.get("integrity", "")], lock, required=False)


def _vendored() -> Iterator[Component]:
    name, version, path = VENDORED
    component = Component(name=name, version=version, scope=ComponentScope.REQUIRED, purl=PackageURL("npm", None, name, version))
    component.bom_ref.value = str(component.purl)
    component.properties.add(Property(name="mendgate:file", value=path))
    yield component


def _component(kind: str, name: str, version: str, hashes: list[str], lock: Path, *, required: bool) -> Component:
    space, _, bare = name.rpartition("/")
    purl = PackageURL(kind, space or None, bare, version)
    scope = ComponentScope.REQUIRED if required else ComponentScope.EXCLUDED
    component = Component(name=name, version=version, scope=scope, purl=purl, bom_ref=str(purl), hashes=filter(None, map(_hash, hashes)))
    component.properties.add(Property(name="mendgate:lock", value=str(lock.relative_to(ROOT))))
    return component


def _hash(text: str) -> HashType | None:
    if text.startswith("sha512-"):
        return HashType(alg=HashAlgorithm.SHA_512, content=base64.b64decode(text.removeprefix("sha512-").split()[0]).hex())
    return HashType(alg=HashAlgorithm.SHA_256, content=text) if len(text) == 64 else None


def _version() -> str:
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"])


def main(words: list[str]) -> None:
    """Write it, and say where."""
    path = Path(words[0]) if words else ROOT / "build" / "mendgate.cdx.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    bom = bill()
    path.write_text(text(bom), "utf-8")
    required = sum(c.scope is ComponentScope.REQUIRED for c in bom.components)
    sys.stdout.write(f"{path}: {len(bom.components)} components, {required} of them shipped\n")


if __name__ == "__main__":
    main(sys.argv[1:])
