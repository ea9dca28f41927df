"""Values that a column takes, made up: for judging fixes by more rows than were ever sent. Chance comes in as an argument."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

from healing.core import labels
from healing.core.refusals import rejects
from healing.core.types import Json, Row
from schema_monitor.core.snapshot import Column, EnumType, Relation


class Chance(Protocol):
    """What is used of ``random.Random``."""

    def random(self) -> float:
        """0 ≤ x < 1."""

    def randint(self, low: int, high: int) -> int:
        """low ≤ n ≤ high."""

    def choice(self, values: Sequence[Any]) -> Any:
        """One of them."""


_WORDS = ("", "a", "Ann", "ann@example.com", "42", "-1", "1.50", "true", "null", "2024-02-29", "naïve ✓", "{}", " x ", "x" * 300)
_NUMBERS = {"int2": 2**15, "int4": 2**31, "int8": 2**63}
_MOMENTS = ("2024-02-29", "1999-12-31", "2038-01-19")
_CLOCKS = ("00:00:00", "23:59:59", "12:34:56")


def anything(chance: Chance) -> Json:
    """Any JSON value that a caller may send, of a kind that is drawn first."""
    made: Callable[[], Json] = chance.choice(
        (
            lambda: chance.choice(_WORDS),
            lambda: chance.randint(-(2**40), 2**40),
            lambda: Decimal(chance.randint(-(10**6), 10**6)) / 1000,
            lambda: chance.random() < 0.5,
            lambda: None,
            lambda: {"k": chance.randint(0, 9), "list": [1, "two", None]},
            lambda: [chance.randint(0, 9), "two"],
        )
    )
    return made()


def fitting(column: Column, allowed: tuple[str, ...] | None, chance: Chance) -> Json:
    """A value that the column surely takes where its type is known; null where nothing drawn fits and null is taken."""
    for _ in range(20):
        value = _drawn(column, allowed, chance)
        if rejects(value, column, allowed) is None:
            return value
    return None if column.nullable else _drawn(column, allowed, chance)


def rows(relation: Relation, enums: Mapping[int, EnumType], chance: Chance, keys: Sequence[str] | None = None) -> Row:
    """A row of values that fit; without ``keys`` any choice of the columns that can be written. Keys that are no column hold anything."""
    known = {column.name: column for column in relation.columns if not column.generated and column.identity != "a"}
    names = [name for name in known if chance.random() < 0.6] if keys is None else list(keys)
    return {
        name: fitting(known[name], labels.of(known[name], relation, enums), chance) if name in known else anything(chance) for name in names
    }


def _drawn(column: Column, allowed: tuple[str, ...] | None, chance: Chance) -> Json:
    if column.array:
        return [_one(column, allowed, chance) for _ in range(chance.randint(0, 3))]
    return _one(column, allowed, chance)


def _one(column: Column, allowed: tuple[str, ...] | None, chance: Chance) -> Json:
    if allowed is not None:
        return chance.choice(allowed) if allowed else ""
    base = column.base
    if base in _NUMBERS:
        most = _NUMBERS[base]
        return chance.choice((0, 1, -1, most - 1, -most, chance.randint(-most, most - 1)))
    if base == "numeric":
        return _numeric(column, chance)
    if base in ("float4", "float8"):
        return Decimal(chance.randint(-1000, 1000)) / 4
    if base in ("json", "jsonb"):
        return anything(chance)
    if base in _TEXTUAL:
        return _TEXTUAL[base](chance)
    return bool(chance.randint(0, 1)) if base == "bool" else _text(column, chance)


def _numeric(column: Column, chance: Chance) -> Json:
    scale = column.scale or 0
    digits = min((column.precision or 9) - scale, 9)
    return Decimal(chance.randint(-(10**digits) + 1, 10**digits - 1)) / 1 + Decimal(chance.randint(0, 9)) * (
        0 if not scale else Decimal(10) ** -scale
    )


def _text(column: Column, chance: Chance) -> str:
    word: str = chance.choice(_WORDS)
    return word[: column.length] if column.length is not None else word


def _hex(chance: Chance, digits: int) -> str:
    return "".join(chance.choice("0123456789abcdef") for _ in range(digits))


_TEXTUAL: dict[str, Callable[[Chance], str]] = {
    "uuid": lambda c: "-".join(_hex(c, n) for n in (8, 4, 4, 4, 12)),
    "date": lambda c: str(c.choice(_MOMENTS)),
    "time": lambda c: str(c.choice(_CLOCKS)),
    "timetz": lambda c: f"{c.choice(_CLOCKS)}+00",
    "timestamp": lambda c: f"{c.choice(_MOMENTS)}T{c.choice(_CLOCKS)}",
    "timestamptz": lambda c: f"{c.choice(_MOMENTS)}T{c.choice(_CLOCKS)}+00:00",
    "interval": lambda c: f"{c.randint(0, 99)} days",
    "bytea": lambda c: f"\\x{_hex(c, 6)}",
    "inet": lambda c: f"10.0.0.{c.randint(0, 255)}",
    "cidr": lambda c: "10.0.0.0/8",
    "macaddr": lambda c: "08:00:2b:01:02:03",
}
