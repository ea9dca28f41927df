"""Counts what words do in the names of columns, over the projects of the drift data; for a project, without itself."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from itertools import combinations

from benchmarks.drift import distinct, load
from benchmarks.matching.tables import tables
from healing.core.match.habits import Counts, Habits
from healing.core.match.names import name_of

Stems = frozenset[str]
Projects = dict[str, set[str]]
"""word (or two in order) -> the projects where it was seen so"""


class Seen:
    """Which projects show what: ``apart`` tells two things apart, ``renamed`` came or went in a rename."""

    def __init__(self) -> None:
        self.words_apart: Projects = defaultdict(set)
        self.words_renamed: Projects = defaultdict(set)
        self.swaps_apart: Projects = defaultdict(set)
        self.swaps_renamed: Projects = defaultdict(set)
        self.common: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for project, _, entries in tables():
            self._live(project, {_stems(e["name"]) for e in entries})
        for event in distinct([e for e in load("renames") if e["event"] == "rename_column"]):
            self._rename(event["project"], _stems(event["old"]), _stems(event["new"]))

    def _live(self, project: str, columns: set[Stems]) -> None:
        frames: dict[Stems, set[str]] = defaultdict(set)
        for stems in columns:
            for word in stems:
                self.common[word][project] += 1
                if stems - {word} in columns:
                    self.words_apart[word].add(project)
                if len(stems) > 1:
                    frames[stems - {word}].add(word)
        for words in frames.values():
            for two in combinations(sorted(words), 2):
                self.swaps_apart[" ".join(two)].add(project)

    def _rename(self, project: str, old: Stems, new: Stems) -> None:
        for word in old ^ new:
            self.words_renamed[word].add(project)
        if len(old - new) == len(new - old) == 1:
            self.swaps_renamed[" ".join(sorted(old ^ new))].add(project)

    def without(self, project: str | None) -> Habits:
        """The counts of all other projects; rare words are left out: they say nothing."""
        common = {word: sum(n for p, n in by.items() if p != project) for word, by in sorted(self.common.items())}
        words = _counted(self.words_apart, self.words_renamed, project)
        return Habits(
            words,
            {k: c for k, c in _counted(self.swaps_apart, self.swaps_renamed, project).items() if c[0] > 1 or c[1]},
            {word: n for word, n in common.items() if n > 4 or word in words},
        )


def _counted(apart: Projects, renamed: Projects, project: str | None) -> Counts:
    found = {key: (len(apart.get(key, set()) - {project}), len(renamed.get(key, set()) - {project})) for key in sorted({*apart, *renamed})}
    return {key: counts for key, counts in found.items() if any(counts)}


def _stems(name: str) -> Stems:
    return frozenset(name_of(name).stems)


@cache
def _seen() -> Seen:
    return Seen()


@cache
def habits_without(project: str | None) -> Habits:
    """What can be known without that project (None: everything)."""
    return _seen().without(project)
