"""Values that the database refuses, where a small fix is the usual answer. All of them change or lose something: by approval only."""

from __future__ import annotations

from healing.core.types import Kind, Misfit
from schema_monitor.core.snapshot import Relation

from .option import Option


def options(misfit: Misfit, relation: Relation) -> list[Option]:
    """An empty text as null, a text cut to its column, a generated column left out."""
    column = relation.column(misfit.column)
    if column is None:
        return []
    if misfit.kind is Kind.GENERATED:
        return [
            Option(
                misfit.signature,
                {"op": "drop_key", "column": column.name},
                0.9,
                f"leave `{column.name}` out: the database computes it",
                for_=("the column is generated",),
                against=("the caller's own value is not stored",),
            )
        ]
    if misfit.kind is Kind.INVALID_VALUE and misfit.value == "" and column.nullable:
        return [
            Option(
                misfit.signature,
                {"op": "map_value", "column": column.name, "from": "", "to": None},
                0.6,
                f"store null where `{column.name}` is an empty text",
                for_=(f"an empty text is no {column.type}", "the column may be null"),
            )
        ]
    if misfit.kind is Kind.TOO_LONG and column.length is not None:
        return [
            Option(
                misfit.signature,
                {"op": "truncate", "column": column.name, "n": column.length},
                0.15,
                f"cut `{column.name}` to {column.length} characters",
                gentle=False,
                against=("the end of the text is lost",),
            )
        ]
    return []
