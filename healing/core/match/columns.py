"""Unknown keys: which live column each is meant for, if any; else the catch-all, or leaving it out."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter

from msgspec import Struct

from healing.core.signature import of
from healing.core.types import Kind

from .assign import Weights, assign
from .features import Pair, pairs
from .model import Model, sigmoid
from .option import Option
from .reasons import against_pair, for_pair
from .scene import Key, Scene, other_entity

OTHER_ENTITY = -1.0
LEAST = 0.03
"""below this a column is not worth showing."""


class Ranked(Struct):
    """The columns of one key with calibrated probabilities, best first."""

    key: Key
    pairs: list[Pair]
    chances: list[float]

    @property
    def none(self) -> float:
        """Probability that no live column is right."""
        return max(0.0, 1.0 - sum(self.chances))


def rank(scene: Scene, model: Model) -> list[Ranked]:
    """Every unknown key with its columns."""
    return [_rank(key, row, scene, model) for key, row in zip(scene.keys, pairs(scene, model.habits), strict=True)]


def _rank(key: Key, row: list[Pair], scene: Scene, model: Model) -> Ranked:
    raw = model.scores([p.features for p in row])
    if key.name.words[-1:] == ("id",):
        raw = [score + _entities(p, scene) for score, p in zip(raw, row, strict=True)]
    scored = sorted(zip(raw, row, strict=True), key=itemgetter(0), reverse=True)
    chances = [sigmoid(s) for s, _ in scored]
    total = max(1.0, sum(chances))
    calibrated = [model.curve.at(c / total) for c in chances]
    return Ranked(key, [p for _, p in scored], _within_one(calibrated))


def _within_one(chances: list[float]) -> list[float]:
    """Together one at most: the likeliest is as likely as it was found to be, the others share what is left."""
    left, others = 1.0 - sum(chances[:1]), sum(chances[1:])
    share = left / others if others > left else 1.0
    return [*chances[:1], *(c * share for c in chances[1:])]


def _entities(pair: Pair, scene: Scene) -> float:
    """Log-odds against writing one thing's id into a column for another's; the training data does not know the other tables."""
    return OTHER_ENTITY if other_entity(pair.key.name, pair.target.reading.name, scene) else 0.0


def assigned(ranked: list[Ranked]) -> dict[str, str]:
    """The one assignment over all keys."""
    weights: Weights = {
        r.key.text: {p.target.column.name: c for p, c in zip(r.pairs, r.chances, strict=True) if c >= LEAST} for r in ranked
    }
    return assign(weights)


def options(scene: Scene, missing: Mapping[str, str], model: Model) -> dict[str, list[Option]]:
    """For each unknown key its options: the assigned column first, then other columns, the catch-all, leaving it out.
    ``missing``: column -> signature of a missing value that a rename would supply."""
    ranked = rank(scene, model)
    chosen = assigned(ranked)
    return {r.key.text: _options(r, chosen.get(r.key.text), scene, missing, model) for r in ranked}


def _options(ranked: Ranked, chosen: str | None, scene: Scene, missing: Mapping[str, str], model: Model) -> list[Option]:
    key = ranked.key
    signature = of(Kind.UNKNOWN_COLUMN, key.text)
    renames = [
        _rename(signature, pair, chance, scene, missing)
        for pair, chance in zip(ranked.pairs, ranked.chances, strict=True)
        if chance >= LEAST
    ]
    renames.sort(key=lambda o: (o.takes != chosen, -o.probability))
    parked, catch_all = [], scene.layout.catch_all
    if catch_all and catch_all != chosen:
        parked.append(
            Option(
                signature,
                {"op": "rescue", "column": key.text, "into": catch_all},
                ranked.none * model.rescue,
                f"keep `{key.text}` inside the JSON column `{catch_all}`",
                gentle=False,
                for_=(f"{catch_all} takes what has no column of its own",),
            )
        )
    parked.append(
        Option(
            signature,
            {"op": "drop_key", "column": key.text},
            ranked.none * model.drop,
            f"leave `{key.text}` out: its value is lost",
            gentle=False,
            against=("the value would not be stored anywhere",),
        )
    )
    return renames[:3] + parked


def _rename(signature: str, pair: Pair, chance: float, scene: Scene, missing: Mapping[str, str]) -> Option:
    column = pair.target.column.name
    supplied = (missing[column],) if column in missing else ()
    return Option(
        signature,
        {"op": "rename_column", "from": pair.key.text, "to": column},
        chance,
        f"write `{pair.key.text}` to `{column}`",
        takes=column,
        for_=for_pair(pair),
        against=(*against_pair(pair), *filter(None, [other_entity(pair.key.name, pair.target.reading.name, scene)])),
        settles=supplied,
    )
