"""The numbers that the model weighs for one unknown key and one column, and the quick ranking that picks which columns get them."""

from __future__ import annotations

from math import log2

from msgspec import Struct

from .edits import EDITS, edit, used_elsewhere
from .former import FORMER, former, vanished_of
from .habits import HABITS, Habits
from .likeness import LETTERS, LIKENESS, kinship, likeness
from .names import Name, dice
from .scene import Key, Scene, Target
from .surroundings import SURROUNDINGS, numbers, table_of
from .values import fit, fits_labels, hint_fit, hinted, too_long

MOST = 5
"""columns a key that get the full look."""

FEATURES = (
    *LIKENESS,
    *EDITS,
    "gone_elsewhere",
    "come_elsewhere",
    "fit",
    "hint_fit",
    "labels_fit",
    "required",
    "housekeeping",
    "has_default",
    "is_text",
    "is_json",
    "is_bool",
    "is_array",
    "is_id",
    "is_moment",
    "is_number",
    "insert",
    "targets",
    "targets_that_fit",
    "targets_required",
    "keys",
    "rank",
    "margin",
    "rival_key",
    "near_present",
    "near_present_column",
    "newer",
    "newer_others",
    *FORMER,
    *SURROUNDINGS,
    *HABITS,
)


class Pair(Struct):
    """A key and a column it may be meant for. ``score`` ranks; ``features`` only where it got the full look."""

    key: Key
    target: Target
    fit: float
    score: float
    features: list[float]


def pairs(scene: Scene, habits: Habits) -> list[list[Pair]]:
    """For every unknown key, its most promising columns with features, best first. ``habits`` are part of what was learned."""
    quick = [_ranked(key, scene) for key in scene.keys]
    best_for: dict[str, list[float]] = {}
    for ranked in quick:
        for pair in ranked:
            best_for.setdefault(pair.target.column.name, []).append(pair.score)
    near = {p.target.column.name: _nearest(p.target.name, scene) for ranked in quick for p in ranked[:MOST]}
    for ranked in quick:
        _look(ranked, scene, habits, best_for, near)
    return [ranked[:MOST] for ranked in quick]


def _nearest(name: Name, scene: Scene) -> float:
    """How near the nearest column is that the payload has already; only such as share a word."""
    others = {other for word in name.stems for other in scene.present.get(word, ())}
    return max((kinship(name, other, scene.table).base for other in others), default=0.0)


def _ranked(key: Key, scene: Scene) -> list[Pair]:
    """All columns that could take the value at all, by a quick score."""
    hint, newer = hinted(key.name.words), scene.newer or frozenset()
    table = table_of(scene.columns)
    kin = table.kin_of(key.name)
    found = []
    for target in scene.targets:
        how = fit(key.shape, target.family)
        if how <= 0.0:
            continue
        related = table.places[target.column.name] in kin
        base = kinship(key.name, target.name, scene.table).base if related else LETTERS * dice(key.name, target.name)
        score = base + 0.15 * how + (0.15 if target.required else 0.0) - (0.3 if target.housekeeping else 0.0)
        score += 0.1 * (hint_fit(hint, target.family) - 0.5) + (0.2 if target.column.name in newer else 0.0)
        found.append(Pair(key, target, how, score, []))
    found.sort(key=lambda p: -p.score)
    return found


def _look(ranked: list[Pair], scene: Scene, habits: Habits, best_for: dict[str, list[float]], near: dict[str, float]) -> None:
    if not ranked:
        return
    key = ranked[0].key
    hint = hinted(key.name.words)
    fitting = sum(p.fit >= 0.7 for p in ranked)
    required = sum(p.target.required for p in ranked)
    near_present = _nearest(key.name, scene)
    newer, vanished = scene.newer or frozenset(), vanished_of(scene, key.text)
    table = table_of(scene.columns)
    for rank, pair in enumerate(ranked[:MOST]):
        target, column = pair.target, pair.target.column
        other = ranked[1].score if rank == 0 and len(ranked) > 1 else ranked[0].score if rank else 0.0
        rivals = sorted(best_for[column.name], reverse=True)
        rival = rivals[0] if rivals[0] != pair.score else rivals[1] if len(rivals) > 1 else 0.0
        change = edit(key.name, target.name, scene.table)
        pair.features = [
            *likeness(key.name, target.name, scene.table).numbers,
            *change.numbers,
            used_elsewhere(change.gone, scene.vocabulary, 0),
            used_elsewhere(change.come, scene.vocabulary, 1),
            0.0 if too_long(key.value, column) else pair.fit,
            hint_fit(hint, target.family),
            fits_labels(key.value, target.labels) if target.labels is not None else 0.5,
            float(target.required),
            float(target.housekeeping),
            float(column.default is not None),
            float(target.family in ("text", "label")),
            float(target.family == "json"),
            float(target.family == "bool"),
            float(target.family == "array"),
            float(target.family == "uuid" or target.name.words[-1:] == ("id",)),
            float(target.family in ("moment", "date", "time")),
            float(target.family in ("int", "number")),
            float(scene.inserts),
            log2(1 + len(ranked)),
            log2(1 + fitting),
            float(min(required, 4)),
            log2(1 + len(scene.keys)),
            float(rank),
            pair.score - other,
            pair.score - rival,
            near_present,
            near[column.name],
            0.0 if scene.newer is None else 1.0 if column.name in newer else -1.0,
            0.0 if scene.newer is None else 1.0 + len(newer & {p.target.column.name for p in ranked}),
            *former(scene, key, target, vanished),
            *numbers(key.name, target.name, change, table, scene.table, scene.sent),
            *habits.numbers(key.name, target.name),
        ]
