"""A name that is live but used to belong to a column that now has another name: old and new callers mean different columns."""

from __future__ import annotations

from collections.abc import Mapping

from healing.core.types import Json, Misfit
from schema_monitor.core.lineage import Lineage, Reused
from schema_monitor.core.snapshot import Column, Relation

from .option import Option
from .values import family, fit, shape


def options(misfit: Misfit, relation: Relation, lineage: Lineage | None, row: Mapping[str, Json]) -> list[Option]:
    """Both readings, the likelier first. Never certain: the value's type is the only witness."""
    live = relation.column(misfit.column)
    if live is None or lineage is None:
        return []
    found = lineage.resolve_column(relation, misfit.column)
    former = tuple(found.former) if isinstance(found, Reused) else ()
    value = misfit.value if misfit.value is not None else row.get(misfit.column)
    weights = [(live, _fit(value, live)), *((c, _fit(value, c)) for c in former if c.name not in row)]
    total = sum(w for _, w in weights) or 1.0
    options = [_option(misfit, live, column, min(0.9, weight / total)) for column, weight in weights]
    return sorted(options, key=lambda o: -o.probability)


def _fit(value: Json, column: Column) -> float:
    return 0.02 + fit(shape(value), family(column.base, column.array, column.enum is not None)) ** 2


def _option(misfit: Misfit, live: Column, column: Column, chance: float) -> Option:
    if column.name == live.name:
        return Option(
            misfit.signature,
            {"op": "keep_name", "column": live.name},
            chance,
            f"`{live.name}` means today's column of that name",
            takes=live.name,
            for_=("the name is live",),
            against=("it used to be the name of another column",),
        )
    return Option(
        misfit.signature,
        {"op": "rename_column", "from": misfit.column, "to": column.name},
        chance,
        f"`{misfit.column}` means the column that is now called `{column.name}`",
        takes=column.name,
        for_=(f"{column.name} used to be called {misfit.column}",),
        against=("the name belongs to another column today",),
    )
