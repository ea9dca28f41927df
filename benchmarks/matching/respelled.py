"""May a mere respelling apply itself (``emailAddress`` -> ``email_address``: the same letters, one free column with them)? What the data
can say, two ways: by the decided causes of that kind, and by how often one table has two columns of the same letters.

The second pools more: a respelling is wrong only where the key is another thing that happens to have the letters of a live column. How
often that is so, all tables tell; how often a key is a respelling, the asked keys tell; together, by Bayes, they bound the chance.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from benchmarks.matching.cases import Question, renames, wild
from benchmarks.matching.tables import tables
from healing.core.certify import BELIEF, WANTED
from healing.core.confidence import lower_bound


class Respelled(Struct, frozen=True):
    """``right`` of ``found`` respellings among ``keys`` unknown keys (``homeless`` of them without a column); ``twins`` of ``columns``
    distinct columns have a namesake by letters beside them."""

    right: int
    found: int
    keys: int
    homeless: int
    twins: int
    columns: int

    @property
    def bound(self) -> float:
        """The chance of being right is above this, by the decided causes alone."""
        return lower_bound(self.right, self.found - self.right, BELIEF)

    @property
    def pooled(self) -> float:
        """The same with what all tables say: both rates at the unlucky end of what they may be."""
        twin = 1 - lower_bound(self.columns - self.twins, self.twins, BELIEF)
        respelled = lower_bound(self.right, self.keys - self.right, BELIEF)
        return respelled / (respelled + twin * self.homeless / self.keys)


def letters(name: str) -> str:
    """What is left without case and separators."""
    return "".join(c for c in name.lower() if c.isalnum())


def counted() -> Respelled:
    """Over all labelled keys, each once, and every table as it was last seen."""
    decided = {(q.project, key, column): column == q.answers[key] for q in _questions() for key, column in _sole(q)}
    asked = {(q.project, key): truth for q in _questions() for key, truth in q.answers.items()}
    columns = {(project, entry["name"]) for project, _, entries in tables() for entry in entries}
    twins = {(project, name) for project, _, entries in tables() for name in _doubled(entry["name"] for entry in entries)}
    homeless = sum(truth is None for truth in asked.values())
    return Respelled(sum(decided.values()), len(decided), len(asked), homeless, len(twins), len(columns))


def _questions() -> list[Question]:
    return [*renames("bare"), *wild(trusted=False)]


def _sole(question: Question) -> list[tuple[str, str]]:
    """Key and column, where just one column that the payload lacks has the key's letters."""
    free = [c.name for c in question.schema.relation.columns if c.name not in question.statement.rows[0]]
    found = [(key, [name for name in free if letters(name) == letters(key)]) for key in question.answers]
    return [(key, names[0]) for key, names in found if len(names) == 1]


def _doubled(names: Iterable[str]) -> list[str]:
    by: dict[str, set[str]] = {}
    for name in names:
        by.setdefault(letters(name), set()).add(name)
    return [name for same in by.values() if len(same) > 1 for name in same]


def report() -> list[str]:
    """Lines to print."""
    seen = counted()
    return [
        f"mere respellings (same letters, one free column with them): {seen.right} of {seen.found} right among {seen.keys} keys: at least "
        f"{seen.bound:.0%}. {seen.twins} of {seen.columns:,} distinct columns have a namesake by letters beside them; that and the first "
        f"together: at least {seen.pooled:.1%}. Both are far from the {WANTED:.1%} that is asked for, so they wait for a person too"
    ]
