"""``ADD COLUMN`` for the keys that no column has."""

from __future__ import annotations

from collections.abc import Sequence

from healing.core.ddl.cause import Cause, Part, count
from healing.core.ddl.column_type import Chosen, column_type
from healing.core.ddl.naming import may_name, slug
from healing.core.ddl.remedy import Remedy
from healing.core.types import Json, Kind
from schema_monitor.core.piece import named, quoted
from schema_monitor.core.snapshot import Relation, Snapshot

_MOST = 20
"""keys of one cause; more are no columns but something else."""


def add_columns(cause: Cause, relation: Relation, snapshot: Snapshot) -> list[Remedy]:
    """All keys in one migration, then each by itself."""
    parts = [part for part in cause.of(Kind.UNKNOWN_COLUMN) if may_name(part.column) and relation.column(part.column) is None]
    if not parts or len(parts) > _MOST or relation.kind not in "rp":
        return []
    chosen = [column_type(p.column, cause.values(p.column), relation, snapshot, relation.schema) for p in parts]
    each = [_remedy([part], [one], cause, relation) for part, one in zip(parts, chosen, strict=True)]
    return each if len(each) == 1 else [_remedy(parts, chosen, cause, relation), *each]


def _remedy(parts: Sequence[Part], chosen: Sequence[Chosen], cause: Cause, relation: Relation) -> Remedy:
    columns = [part.column for part in parts]
    adds = ", ".join(f"ADD COLUMN {definition(name, one)}" for name, one in zip(columns, chosen, strict=True))
    more = (f"and_{len(columns) - 1}_more",) if len(columns) > 1 else ()
    said = ", ".join(f"`{name}` {one.type}{_said(one)}" for name, one in zip(columns, chosen, strict=True))
    return Remedy(
        "add_column",
        tuple(part.signature for part in parts),
        (f"ALTER TABLE {named(relation)} {adds}",),
        f"add the column{'s' if len(columns) > 1 else ''} {said} to `{relation.name}`",
        slug("add", columns[0], *more, "to", relation.name),
        tuple(why for name, one in zip(columns, chosen, strict=True) for why in _for(name, one, cause)),
        tuple(doubt for name, one in zip(columns, chosen, strict=True) for doubt in _against(name, one, cause, relation)),
        tuple(told(name, one) for name, one in zip(columns, chosen, strict=True)),
    )


def definition(name: str, chosen: Chosen) -> str:
    """As it stands in the DDL."""
    preset = f" DEFAULT {chosen.default}" if chosen.default is not None else ""
    return f"{quoted(name)} {chosen.type}{' NOT NULL' if _not_null(chosen) else ''}{preset}"


def told(name: str, chosen: Chosen) -> dict[str, Json]:
    """The column for programs."""
    return {"name": name, "type": chosen.type, "nullable": not _not_null(chosen), "default": chosen.default}


def _not_null(chosen: Chosen) -> bool:
    return chosen.required and chosen.default is not None


def _said(chosen: Chosen) -> str:
    return "" if chosen.default is None else f" (default {chosen.default})"


def _for(name: str, chosen: Chosen, cause: Cause) -> list[str]:
    values, senders = cause.values(name), cause.senders.get(name, 0)
    found = [f"{name}: {why}" for why in chosen.why]
    found.append(f"{name}: {count(values)} of {len(cause.rows)} waiting rows of {cause.table} have a value for it")
    if senders:
        found.append(f"{name}: {senders} caller{'s' if senders > 1 else ''} sent it in the last 7 days")
    return found


def _against(name: str, chosen: Chosen, cause: Cause, relation: Relation) -> list[str]:
    found = [f"{name}: {doubt}" for doubt in chosen.against]
    if name != name.lower() and all(column.name == column.name.lower() for column in relation.columns):
        found.append(f"{name}: the other columns are in small letters; a rename in the callers may be the cleaner way")
    if not _not_null(chosen):
        missing = len(cause.rows) - len(cause.values(name))
        found.append(
            f"{name}: may be null: rows that are there have none"
            + (f", and {missing} of the waiting ones do not send it" if missing else "")
        )
    return found
