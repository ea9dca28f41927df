"""The imports that a patch adds to a file: in the file's own style, under names that are free in it."""

from __future__ import annotations

from ast_grep_py import SgNode

from healing.core.sources.cover import beside
from healing.core.sources.edits import Edit
from healing.scan.source import text_of
from healing.scan.unit import Unit


class Imports:
    """Names of our helpers in one file. What is imported already is used as it is called there."""

    def __init__(self, unit: Unit) -> None:
        self._unit = unit
        self._statements = [n for n in unit.source.root.children() if n.kind() == "import_statement"]
        self._wanted: dict[str, dict[str, str]] = {}
        self._known = dict(self._imported())
        first = next((s.field("source") for s in self._statements), None)
        self.quote = first.text()[0] if first is not None else '"'

    def local(self, helper: str, name: str) -> str:
        """What ``name`` of the helper is called here."""
        if (helper, name) in self._known:
            return self._known[helper, name]
        here = self._wanted.setdefault(helper, {})
        if name not in here:
            here[name] = self._free(name)
        return here[name]

    def edits(self) -> list[Edit]:
        """The statements to add: behind the last import, or at the top."""
        if not self._wanted:
            return []
        text, newline = self._unit.source.text, "\r\n" if "\r\n" in self._unit.source.text else "\n"
        added = [self._statement(helper, names) for helper, names in self._wanted.items()]
        if self._statements:
            at = self._statements[-1].range().end.index
            return [Edit(at, at, "".join(newline + statement for statement in added))]
        at = _after_head(text)
        return [Edit(at, at, "".join(statement + newline for statement in added))]

    def _imported(self) -> list[tuple[tuple[str, str], str]]:
        found = []
        for statement in self._statements:
            origin = _origin(statement)
            for specifier in statement.find_all(kind="import_specifier"):
                name, alias = specifier.field("name"), specifier.field("alias")
                if name is not None and "mendgate" in origin:
                    helper = "_shared/" + origin.rsplit("/", 1)[-1]
                    found.append(((helper, name.text()), (alias or name).text()))
        return found

    def _statement(self, helper: str, names: dict[str, str]) -> str:
        listed = ", ".join(name if name == here else f"{name} as {here}" for name, here in sorted(names.items()))
        end = ";" if not self._statements or any(s.text().endswith(";") for s in self._statements) else ""
        return f"import {{ {listed} }} from {self.quote}{beside(self._unit.source.path, helper)}{self.quote}{end}"

    def _free(self, name: str) -> str:
        """The name, or one like it that the file does not have."""
        taken = self._unit.scope.names
        plain = f"mendgate{name[0].upper()}{name[1:]}"
        return next(n for n in (name, plain, *(f"{plain}{i}" for i in range(2, 1000))) if n not in taken)


def _origin(statement: SgNode) -> str:
    source = statement.field("source")
    return (text_of(source) or "") if source is not None else ""


def _after_head(text: str) -> int:
    """Behind a byte order mark and a ``#!`` line."""
    start = 1 if text.startswith("\ufeff") else 0
    if text.startswith("#!", start):
        return text.find("\n", start) + 1 or len(text)
    return start
