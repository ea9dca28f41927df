"""Migrations for one cause: the whole first, where all misfits can be settled, then its parts."""

from __future__ import annotations

from collections.abc import Sequence

from healing.core.ddl.add_column import add_columns
from healing.core.ddl.allow import allow_labels, allow_nulls
from healing.core.ddl.cause import Cause
from healing.core.ddl.create_table import create_table
from healing.core.ddl.naming import slug
from healing.core.ddl.remedy import Remedy, SchemaProposal
from healing.core.ddl.widen import widen
from healing.core.types import Json
from schema_monitor.core.snapshot import Relation, Snapshot

MOST = 6


def schema_proposals(cause: Cause, relation: Relation | None, snapshot: Snapshot) -> tuple[SchemaProposal, ...]:
    """What the schema could become so that the cause's rows land; empty where nothing can be said. ``relation`` None: unknown table."""
    if relation is None:
        return tuple(_proposal([remedy], cause) for remedy in create_table(cause, snapshot))
    remedies = [
        *add_columns(cause, relation, snapshot),
        *allow_labels(cause, relation, snapshot),
        *widen(cause, relation, snapshot),
        *allow_nulls(cause, relation),
    ]
    whole = _whole(remedies, cause)
    found = [_proposal(whole, cause)] if len(whole) > 1 else []
    return tuple((found + [_proposal([remedy], cause) for remedy in remedies])[:MOST])


def _whole(remedies: Sequence[Remedy], cause: Cause) -> list[Remedy]:
    """Few remedies that together settle every misfit; empty where they cannot."""
    chosen: list[Remedy] = []
    for remedy in remedies:
        if not {s for r in chosen for s in r.settles}.issuperset(remedy.settles):
            chosen.append(remedy)
    settled = {s for remedy in chosen for s in remedy.settles}
    return chosen if settled >= {part.signature for part in cause.parts} else []


def _proposal(remedies: Sequence[Remedy], cause: Cause) -> SchemaProposal:
    settles = tuple(s for remedy in remedies for s in remedy.settles)
    leaves = tuple(part.signature for part in cause.parts if part.signature not in settles)
    says = "; ".join(remedy.says for remedy in remedies)
    evidence: dict[str, Json] = {
        "for": [word for remedy in remedies for word in remedy.for_],
        "against": [word for remedy in remedies for word in remedy.against] + [f"it leaves {each} open" for each in leaves],
        "columns": [column for remedy in remedies for column in remedy.columns],
    }
    return SchemaProposal(
        remedies[0].kind if len(remedies) == 1 else "several",
        tuple(statement for remedy in remedies for statement in remedy.statements),
        f"{says[:1].upper()}{says[1:]}.",
        remedies[0].slug if len(remedies) == 1 else slug("let_writes_into", cause.table, "fit"),
        settles,
        leaves,
        evidence,
    )
