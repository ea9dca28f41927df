"""How a table's inserts are committed: many callers together, or each alone. From how often the database refuses one of them."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from metrics.core.evidence import wilson
from optimizer.core.idea import Expected, Idea

NAME = "transactions"
TOGETHER, ALONE = "together", "alone"
LEAST = 1000


class Table(Struct, frozen=True):
    """Inserts of a table: how many, how many the database refused, how many share a statement at busy times."""

    name: str
    inserts: int
    refused: int
    together: float


def strategy(now: str, table: Table) -> Idea | None:
    """Whether a table's inserts shall share a transaction: not where so many are refused that taking batches apart costs more."""
    if table.inserts < LEAST:
        return None
    low, high = wilson(table.refused, table.inserts)
    size = max(2, round(table.together))
    cheap, dear = statements(size, low) / size, statements(size, high) / size
    middle = (cheap + dear) / 2
    evidence = {"inserts": table.inserts, "refused": table.refused, "batch": size, "statements_each": [round(cheap, 3), round(dear, 3)]}
    if now == TOGETHER and cheap > 1.0:
        why = f"{table.refused} of {table.inserts} inserts are refused; shared, each takes {middle:.1f} statements"
        return _idea(table, now, ALONE, why, (middle - 1, cheap - 1, dear - 1), evidence)
    if now == ALONE and dear < 0.8:
        why = f"only {table.refused} of {table.inserts} inserts are refused; shared, each takes {middle:.1f} statements"
        return _idea(table, now, TOGETHER, why, (1 - middle, 1 - dear, 1 - cheap), evidence)
    return None


def statements(size: int, refused: float) -> float:
    """Statements that a batch takes where each row is refused with that probability, taken apart by halves until each culprit is alone.

    >>> statements(1, 0.5), round(statements(8, 0.0), 2), statements(8, 1.0)
    (1.0, 1.0, 15.0)
    """
    if size <= 1:
        return 1.0
    whole = (1 - refused) ** size
    half = size // 2
    # the halves of a batch that went through whole (one statement each) are never tried
    return 1.0 + statements(half, refused) + statements(size - half, refused) - whole * 2.0


def _idea(table: Table, old: str, new: str, why: str, gain: tuple[float, float, float], evidence: dict[str, Any]) -> Idea:
    return Idea(
        kind="setting", proposer="transaction strategy", name=NAME, place=table.name, old=old, new=new,
        sentence=f"{table.name}: inserts {old} → {new}. {why[0].upper()}{why[1:]}.", evidence=evidence,
        expected=Expected("statements an insert", *gain, "statements"),
    )  # fmt: skip
