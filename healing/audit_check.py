"""Whether the record of decisions is whole: what was changed, is missing, or was moved, and which row it is.

Whoever can rewrite the whole database can rewrite the whole chain. So keep the hash of the newest decision elsewhere (``verify_audit``
prints it): a chain that does not contain it is another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
from django.db.models import Q

from healing.audit import digest
from healing.checked_fix import content_hash, parsed
from healing.models import Decision, Proposal, Rule
from healing.refusals import Refused
from healing.rules import ENDS

_FIELDS = ("number", "at", "who", "action", "kind", "subject", "content_hash", "why", "prev_hash", "hash")


def faults(rows: Iterable[Decision] | None = None) -> list[str]:
    """What is wrong with the chain, oldest first; empty when it is whole."""
    found, chain = list[str](), list(rows) if rows is not None else list(Decision.objects.order_by("number"))
    where = {row.hash: row.number for row in chain}
    before: Decision | None = None
    for row in chain:
        found += _gap(before, row)
        if digest(row) != row.hash:
            found.append(f"decision {row.number} was changed: its content is not what its hash says")
        if (why := _link(before, row, where)) is not None:
            found.append(why)
        before = row
    return found


def _gap(before: Decision | None, row: Decision) -> list[str]:
    first, last = (before.number if before else 0) + 1, row.number - 1
    if first > last:
        return []
    return [f"decision {first} is missing" if first == last else f"decisions {first} to {last} are missing"]


def _link(before: Decision | None, row: Decision, where: dict[str, int]) -> str | None:
    """What is wrong with the hash that a row names as the one before it; None where a gap that was told explains it."""
    if row.prev_hash == (before.hash if before else ""):
        return None
    follows = where.get(row.prev_hash)
    if follows is not None:
        return f"decision {row.number} is out of order: it was made right after the one that is number {follows} now"
    if row.prev_hash == "":
        return f"decision {row.number} is out of order: it was the first"
    if row.number - 1 != (before.number if before else 0):
        return None
    return f"before decision {row.number} something is missing, or was written anew: nothing has the hash that it follows"


def unrecorded() -> list[str]:
    """What is decided, and no decision says so: somebody went round the model layer."""
    found = []
    for state, action in (("approved", "approve"), ("rejected", "reject")):
        decided = Proposal.objects.filter(state=state, decided_by__isnull=False)
        told = set(Decision.objects.filter(kind="proposal", action=action).values_list("subject", flat=True))
        found += [f"proposal {pk} is {state}, and no decision says so" for pk in _strings(decided) if pk not in told]
    return found + [why for rule in Rule.objects.filter(state=Rule.State.ACTIVE) if (why := _unfounded(rule)) is not None]


def _unfounded(rule: Rule) -> str | None:
    """What an active rule lacks: a decision for this very fix and place, that none after it ended; None where it lacks nothing."""
    place = {"schema": rule.schema, "table": rule.table, "signature": rule.signature}
    proposals = _strings(Proposal.objects.filter(rule=rule, **place))
    told = Q(kind="proposal", action="approve", subject__in=proposals) | Q(kind="rule", action__in=["certify", "restore"], subject=rule.pk)
    begun = Decision.objects.filter(told, content_hash=rule.content_hash).order_by("-number").first()
    if begun is None or not _is_fix(rule):
        return f"rule {rule.pk} is active, and no decision says so"
    ended = Decision.objects.filter(kind="rule", action__in=ENDS, subject=rule.pk, number__gt=begun.number).first()
    return None if ended is None else f"rule {rule.pk} is active, although decision {ended.number} ended it ({ended.action})"


def _is_fix(rule: Rule) -> bool:
    """Whether its fix is the one that its hash is of."""
    try:
        return content_hash(parsed(rule.fix)) == rule.content_hash
    except Refused:
        return False


def _strings(rows: Any) -> list[str]:
    return [str(pk) for pk in rows.values_list("pk", flat=True)]


def head() -> tuple[int, str]:
    """Number and hash of the newest decision; (0, '') before the first."""
    last = Decision.objects.order_by("-number").first()
    return (last.number, last.hash) if last else (0, "")


def lines(since: int = 0) -> Iterator[str]:
    """The decisions from a number on as JSON lines, in order: what ``read`` reads."""
    for row in Decision.objects.filter(number__gte=since).order_by("number").iterator():
        yield msgspec.json.encode({name: getattr(row, name) for name in _FIELDS}).decode() + "\n"


def read(exported: Iterable[str]) -> Sequence[Decision]:
    """An export as rows that are not stored. Raises ``ValueError`` for what is no export."""
    rows = []
    for line in exported:
        facts = msgspec.json.decode(line)
        if not isinstance(facts, dict) or set(facts) != set(_FIELDS):
            raise ValueError("a line is no decision")
        rows.append(Decision(**{**facts, "at": datetime.fromisoformat(facts["at"])}))
    return rows
