"""A better prompt from what people decided: examples of fixes that they approved and rejected, by names only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from msgspec import Struct

HEADING = "\n\nWhat people decided before, for other tables too:"
LEAST, MOST_EACH, MOST_OF_A_KIND = 6, 6, 2


class Decided(Struct, frozen=True):
    """A fix for a cause, and what a person said of it. ``said``: the fix in brief."""

    signature: str
    said: str
    approved: bool


def with_examples(system: str, decided: Sequence[Decided]) -> str | None:
    """The prompt with examples in place of older ones: a few of each kind, rejected ones first; None where there are too few."""
    approved, rejected = _some(decided, True), _some(decided, False)
    if len(decided) < LEAST or not approved:
        return None
    lines = [f"- {each.signature}: {each.said} was wrong; none would have been right." for each in rejected]
    lines += [f"- {each.signature}: {each.said} was right." for each in approved]
    return system.split(HEADING)[0] + HEADING + "\n" + "\n".join(lines)


def _some(decided: Iterable[Decided], approved: bool) -> list[Decided]:
    """The first ones, not too many of one kind of misfit and fix."""
    found: list[Decided] = []
    kinds: Counter[str] = Counter()
    for each in decided:
        kind = each.signature.partition(":")[0] + " " + each.said.partition("(")[0]
        kinds[kind] += each.approved is approved
        if each.approved is approved and kinds[kind] <= MOST_OF_A_KIND:
            found.append(each)
    return found[:MOST_EACH]
