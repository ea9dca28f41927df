"""A file that is being read: its tree, its names, and what it imports from the files beside it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from healing.scan.scope import Declared, Scope
from healing.scan.source import Source

Find = Callable[[str, str], "Unit | None"]
"""(importing path, specifier) -> the file below the same folder, or None."""


class Unit:
    """A source with its scope, made when it is first asked for."""

    def __init__(self, source: Source, find: Find = lambda path, specifier: None) -> None:
        self.source, self._find = source, find

    @cached_property
    def scope(self) -> Scope:
        """All names of the file."""
        return Scope(self.source.root)

    def imported(self, declared: Declared) -> tuple[Unit, Declared] | None:
        """The file that an import leads to, and the declaration there."""
        other = self._find(self.source.path, declared.origin) if declared.kind == "import" else None
        there = other.scope.top(declared.name) if other is not None else None
        return None if other is None or there is None else (other, there)
