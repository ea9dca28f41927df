"""A folder of edge functions: its files read once, its imports followed below the folder, never out of it."""

from __future__ import annotations

import json
import os
import posixpath
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from healing.core.sources.calls import AiCall, Client, DataCall, FileCalls, Place, Unread
from healing.scan.addresses import AI_HELPER, HELPER
from healing.scan.ai import ai_calls
from healing.scan.chains import data_calls
from healing.scan.clients import Clients
from healing.scan.source import Source, text_of
from healing.scan.unit import Unit

ENDINGS = (".ts", ".tsx", ".mts", ".js", ".jsx", ".mjs")
_SKIPPED = frozenset({"node_modules", "dist", "build", "vendor", "__tests__", "tests", "test"})
_TESTS = re.compile(r"[._](test|spec)\.[a-z]+$|\.d\.ts$")
VENDORED = "_shared/mendgate_client"
"""Where a patch puts a copy of the TypeScript client."""
OURS = frozenset({HELPER, AI_HELPER})
_LARGEST = 1_000_000
_WEBHOOK = re.compile(r"stripe-signature|x-hub-signature|svix-|constructEvent|webhook[-_]?secret", re.IGNORECASE)
_CALLED_FROM_OUTSIDE = re.compile(r"webhook|cron|schedul|queue", re.IGNORECASE)


class Folder:
    """All readable sources below a folder, by their path in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.unread: list[Unread] = []
        self.units: dict[str, Unit] = {}
        self._aliases = _import_map(root)
        self.project = _project(root)
        for path in _files(root):
            self._read(path)

    def calls(self) -> tuple[FileCalls, ...]:
        """What every file does, in the order of their paths."""
        failed = tuple(FileCalls(u.place.file, unread=(u,)) for u in self.unread)
        return (*failed, *(self._calls(unit) for unit in self.units.values()))

    def find(self, path: str, specifier: str) -> Unit | None:
        """The file that ``specifier`` means when ``path`` imports it."""
        name = self._resolved(path, specifier)
        return None if name is None else next((self.units[n] for n in (name, *(name + e for e in ENDINGS)) if n in self.units), None)

    def _resolved(self, path: str, specifier: str) -> str | None:
        if specifier.startswith("."):
            found = posixpath.normpath(posixpath.join(posixpath.dirname(path), specifier))
            return None if found.startswith("..") else found
        for alias, target in self._aliases.items():
            if specifier == alias or (alias.endswith("/") and specifier.startswith(alias)):
                return posixpath.normpath(target + specifier[len(alias) :])
        return None

    def _read(self, path: Path) -> None:
        name = path.relative_to(self.root).as_posix()
        try:
            if path.stat().st_size > _LARGEST:
                raise ValueError("it is larger than a megabyte")
            self.units[name] = Unit(Source(name, path.read_bytes().decode("utf-8")), self.find)
        except UnicodeDecodeError:
            self.unread.append(Unread(Place(name, 1, 1), "it is not UTF-8 text"))
        except (OSError, ValueError) as error:
            self.unread.append(Unread(Place(name, 1, 1), str(error)))

    def _calls(self, unit: Unit) -> FileCalls:
        source = unit.source
        unread = tuple(Unread(source.place(node), f"{_excerpt(node.text())} is not understood as TypeScript") for node in source.broken)
        clients = Clients(unit, self.project)
        webhook = bool(_WEBHOOK.search(source.text) or _CALLED_FROM_OUTSIDE.search(source.path))
        return FileCalls(
            source.path, _readable(source, data_calls(unit, clients)), _readable(source, ai_calls(unit)),
            _readable(source, clients.made.values()), tuple(self._imports(unit)), unread[:1], webhook,
        )  # fmt: skip

    def _imports(self, unit: Unit) -> Iterator[str]:
        for kind in ("import_statement", "export_statement"):
            for node in unit.source.root.find_all(kind=kind):
                source = node.field("source")
                found = self.find(unit.source.path, text_of(source) or "") if source is not None else None
                if found is not None:
                    yield found.source.path


def _files(root: Path) -> Iterator[Path]:
    """Sources in a fixed order; no tests, no packages, no links that leave the folder."""
    top = root.resolve()
    for folder, names, files in os.walk(root):
        names[:] = sorted(n for n in names if n not in _SKIPPED and not n.startswith(".") and n != Path(VENDORED).name)
        for file in sorted(files):
            path = Path(folder, file)
            if path.relative_to(root).as_posix() in OURS:
                continue
            if file.endswith(ENDINGS) and not _TESTS.search(file) and path.is_file() and path.resolve().is_relative_to(top):
                yield path


T = TypeVar("T", DataCall, AiCall, Client)


def _readable(source: Source, found: Iterable[T]) -> tuple[T, ...]:
    """Those that stand outside of the statements which could not be read."""
    doubtful = [(span.start.line + 1, span.end.line + 1) for span in source.doubtful]
    return tuple(one for one in found if not any(first <= one.place.line <= last for first, last in doubtful))


def _excerpt(text: str) -> str:
    line = text.strip().splitlines()[0][:40] if text.strip() else "something"
    return f"“{line}”"


def _import_map(root: Path) -> dict[str, str]:
    """Prefixes of an import map that lead into the folder."""
    for name in ("deno.json", "import_map.json"):
        try:
            found = json.loads((root / name).read_text(encoding="utf-8")).get("imports", {})
            return {k: v.removeprefix("./") for k, v in found.items() if isinstance(v, str) and v.startswith("./")}
        except (OSError, ValueError, AttributeError):
            continue
    return {}


def _project(root: Path) -> str:
    """The project's reference, from ``supabase/config.toml`` beside the folder."""
    try:
        found = re.search(r'^project_id\s*=\s*"([a-z]{20})"', (root.parent / "config.toml").read_text(encoding="utf-8"), re.MULTILINE)
    except (OSError, UnicodeDecodeError):
        return ""
    return found.group(1) if found else ""
