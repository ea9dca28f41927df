"""A value outside an enum or a check list: which allowed value is meant, if any."""

from __future__ import annotations

from healing.core.types import Misfit
from schema_monitor.core.snapshot import Column, Relation, Snapshot

from .model import Model
from .names import Name, dice, jaro, name_of, opposite, same_label_word
from .option import Option
from .scene import labels_of

LEAST = 0.05


def likeness(value: str, label: str) -> dict[str, float]:
    """What the model weighs for one value and one allowed value."""
    one, other = name_of(value), name_of(label)
    found, held = _found(one, other), _found(other, one)
    return {
        "same_letters": float(one.letters == other.letters),
        "found": found,
        "held": held,
        "both": 2 * found * held / (found + held) if found + held else 0.0,
        "trigrams": dice(one, other),
        "jaro": jaro(one.letters, other.letters),
        "opposite": float(any(opposite(a, b) for a in one.words for b in other.words)),
        "other": float(other.letters in ("other", "general", "custom", "misc", "unknown")),
    }


def numbers(value: str, labels: tuple[str, ...], default: str | None) -> list[tuple[str, dict[str, float]]]:
    """The numbers for every allowed value, with what depends on the whole list."""
    plain = [(label, likeness(value, label)) for label in labels]
    order = sorted(plain, key=lambda p: -_quick(p[1]))
    best = _quick(order[0][1]) if order else 0.0
    second = _quick(order[1][1]) if len(order) > 1 else 0.0
    for label, found in plain:
        mine = _quick(found)
        found["margin"] = mine - (second if mine == best else best)
        found["first"] = float(order[0][0] == label)
        found["share"] = 1.0 / len(labels)
        found["default"] = float(default is not None and f"'{label}'" in default)
        found["nothing_near"] = float(best < 0.5)
    return plain


def _quick(found: dict[str, float]) -> float:
    return 0.5 * found["both"] + 0.25 * found["trigrams"] + 0.25 * found["jaro"] + found["same_letters"] - 0.3 * found["opposite"]


def _found(one: Name, other: Name) -> float:
    total = sum(one.weights)
    return (
        sum(w * max([same_label_word(x, y) for y in other.words], default=0.0) for x, w in zip(one.words, one.weights, strict=True)) / total
        if total
        else 0.0
    )


def options(misfit: Misfit, relation: Relation, snapshot: Snapshot, model: Model) -> list[Option]:
    """Allowed values that may be meant, best first."""
    column = relation.column(misfit.column)
    labels = labels_of(column, relation, snapshot) if column is not None else None
    if column is None or not labels or not isinstance(misfit.value, str):
        return []
    chances = [(label, model.label.at(found), found) for label, found in numbers(misfit.value, labels, column.default)]
    total = max(1.0, sum(c for _, c, _ in chances))
    ranked = sorted(((c / total, label, found) for label, c, found in chances), key=lambda r: -r[0])
    return [_option(misfit, column, label, chance, found) for chance, label, found in ranked[:3] if chance >= LEAST]


def _option(misfit: Misfit, column: Column, label: str, chance: float, found: dict[str, float]) -> Option:
    for_, against = [], []
    if found["same_letters"]:
        for_.append("the same word in another spelling")
    elif found["both"] > 0.5:
        for_.append(f"'{misfit.value}' and '{label}' are used for the same thing")
    else:
        against.append(f"'{misfit.value}' and '{label}' share no word")
    if found["opposite"]:
        against.append("they are opposites")
    return Option(
        misfit.signature,
        {"op": "map_value", "column": column.name, "from": misfit.value, "to": label},
        chance,
        f"store `{label}` where `{column.name}` is `{misfit.value}`",
        for_=tuple(for_),
        against=tuple(against),
    )
