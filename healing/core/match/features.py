"""The numbers that the model weighs for one unknown key and one column, and the quick ranking that picks which columns get them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import log2
from operator import attrgetter

from msgspec import Struct

from . import likeness, surroundings
from .edits import EDITS, another, edit, used_elsewhere
from .former import FORMER, before, former
from .habits import HABITS, Habits
from .layout import KINDS, Target
from .likeness import LETTERS, LIKENESS, Kinship
from .names import affixes
from .scene import Key, Scene, labels_of
from .shelves import Heard, places
from .surroundings import SURROUNDINGS
from .traps import trapped
from .values import FAMILIES, fit, fits_labels, hint_fit, too_long

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
    *KINDS,
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


OF_KEY = frozenset(
    (
        "key_words",
        "insert",
        "targets",
        "targets_that_fit",
        "targets_required",
        "keys",
        "near_present",
        "newer_others",
        "vanished",
        "sent_share",
        "sent",
        "columns",
        "key_names_table",
    )
)
"""those that are the same for all columns of one key."""
OF_WORDS = (
    "words_of_key_found",
    "words_of_column_found",
    "words_exact",
    "both_ways",
    "last_word",
    "first_word",
    "beside_table_key",
    "beside_table_column",
    "beside_table_both",
    "words_before",
    "words_after",
    "middle_alike",
    "come_before_id",
)
"""those that are 0 where no word of a key is like one of a column. The first tells: then it is 0, and else it never is."""


class Pair(Struct, gc=False):
    """A key and a column it may be meant for. ``alike`` says of each word of the key which words of the table may stand for it."""

    key: Key
    target: Target
    alike: likeness.Alike
    fit: float
    score: float
    """ranks"""
    labels: tuple[str, ...] | None
    """the values that the column is limited to"""
    traps: tuple[str, ...]
    features: list[float]


class Ranked(Struct, gc=False):
    """The columns that could take one key's value at all. ``able`` and ``scores`` go together; ``first`` are the most promising, best
    first, by their index in these."""

    key: Key
    heard: Heard
    able: list[Target]
    fits: list[float]
    scores: list[float]
    first: list[int]
    kin: dict[int, Kinship]
    taking: Mapping[str, Taking]


def pairs(scene: Scene, habits: Habits) -> list[list[Pair]]:
    """For every unknown key, its most promising columns with features, best first. ``habits`` are part of what was learned."""
    quick = [_ranked(key, scene) for key in scene.keys]
    looked = {ranked.able[i].place for ranked in quick for i in ranked.first}
    rivals: dict[int, list[float]] = {place: [] for place in looked}
    for ranked in quick:
        for target, score in zip(ranked.able, ranked.scores, strict=True):
            if target.place in looked:
                rivals[target.place].append(score)
    near = {place: _nearest_column(place, scene) for place in looked}
    return [_look(ranked, scene, habits, rivals, near) for ranked in quick]


def _nearest(heard: Heard, scene: Scene) -> float:
    """How near the nearest column is that the payload has already; only such as share a word."""
    layout = scene.layout
    sharing = layout.sharing(heard.reading.stems) & scene.present
    return max([layout.kinship(heard, place).base for place in places(sharing)], default=0.0)


def _nearest_column(place: int, scene: Scene) -> float:
    layout = scene.layout
    sharing = layout.sharing(layout.readings[place].stems) & scene.present
    return max([layout.base(place, other) for other in places(sharing)], default=0.0)


Taking = tuple[float, float, float, float]
"""how well a value fits and what that adds to the score, how well the name's hint fits and what that adds"""


@lru_cache(maxsize=512)
def _taking(shape: str, hint: str) -> Mapping[str, Taking]:
    """By family of columns."""
    fits = {name: (fit(shape, name), hint_fit(hint, name)) for name in FAMILIES}
    return {name: (how, 0.15 * how, hinted, 0.1 * (hinted - 0.5)) for name, (how, hinted) in fits.items()}


def _ranked(key: Key, scene: Scene) -> Ranked:
    """All columns that could take the value at all, by a quick score."""
    layout, newer = scene.layout, scene.newer or frozenset()
    heard = layout.hear(key.name)
    taking = _taking(key.shape, heard.reading.hint)
    able: list[Target] = []
    fits: list[float] = []
    scores: list[float] = []
    kin: dict[int, Kinship] = {}
    for target in scene.targets:
        how, fitting, _, hinting = taking[target.family]
        if how <= 0.0:
            continue
        place = target.place
        if heard.kin >> place & 1:
            found = kin[place] = layout.kinship(heard, place)
            base = found.base
        else:
            base = LETTERS * layout.close(heard, place)
        score = base + fitting + (0.15 if target.required else 0.0) - (0.3 if target.housekeeping else 0.0)
        able.append(target)
        fits.append(how)
        scores.append(score + (hinting + (0.2 if target.column.name in newer else 0.0)))
    first = sorted(range(len(scores)), key=scores.__getitem__, reverse=True)[:MOST]
    return Ranked(key, heard, able, fits, scores, first, kin, taking)


def _look(ranked: Ranked, scene: Scene, habits: Habits, rivals: dict[int, list[float]], near: dict[int, float]) -> list[Pair]:
    """The most promising columns of a key with their features."""
    if not ranked.first:
        return []
    key, heard, layout, scores = ranked.key, ranked.heard, scene.layout, ranked.scores
    mine, alike = heard.reading, heard.alike
    known = before(scene, key)
    of_key, sent = _of_key(ranked, scene), (scene.sent / len(layout.names), float(min(scene.sent, 20)))
    found = []
    for rank, i in enumerate(ranked.first):
        target, score, how = ranked.able[i], scores[i], ranked.fits[i]
        theirs, column, place = target.reading, target.column, target.place
        other = scores[ranked.first[1]] if rank == 0 and len(scores) > 1 else scores[ranked.first[0]] if rank else 0.0
        kin = ranked.kin.get(place) or layout.kinship(heard, place)
        traps = trapped(key.name, mine.signs, theirs.name, theirs.signs)
        labels = labels_of(column, scene.relation, scene.snapshot)
        letters = affixes(key.name.letters, theirs.name.letters)
        change = edit(mine, alike, theirs) if kin.found else another(mine, theirs, letters)
        features = [
            *likeness.numbers(mine, alike, theirs, kin, letters, len(traps)),
            *change.numbers,
            used_elsewhere(key.name.stems[change.gone], layout.vocabulary, 0),
            used_elsewhere(theirs.name.stems[change.come], layout.vocabulary, 1),
            0.0 if too_long(key.value, column) else how,
            ranked.taking[target.family][2],
            fits_labels(key.value, labels) if labels is not None else 0.5,
            *target.kinds,
            *of_key.first,
            float(rank),
            score - other,
            score - _rival(score, rivals[place]),
            of_key.near_present,
            near[place],
            0.0 if scene.newer is None else 1.0 if column.name in scene.newer else -1.0,
            of_key.newer_others,
            *former(known, kin.base, target, layout),
            *surroundings.numbers(mine, target, change, layout, sent),
            *habits.numbers(mine.stems, theirs.stems),
        ]
        found.append(Pair(key, target, alike, how, score, labels, traps, features))
    return found


class OfKey(Struct, gc=False):
    """What is the same for all columns of a key; ``first`` is what the model's list names from ``insert`` to ``keys``."""

    first: tuple[float, ...]
    near_present: float
    newer_others: float


_REQUIRED = attrgetter("required")


def _of_key(ranked: Ranked, scene: Scene) -> OfKey:
    newer = scene.newer
    first = (
        float(scene.inserts),
        log2(1 + len(ranked.able)),
        log2(1 + sum(map((0.7).__le__, ranked.fits))),
        float(min(sum(map(_REQUIRED, ranked.able)), 4)),
        log2(1 + len(scene.keys)),
    )
    others = 0.0 if newer is None else 1.0 + sum([target.column.name in newer for target in ranked.able])
    return OfKey(first, _nearest(ranked.heard, scene), others)


def _rival(score: float, scores: list[float]) -> float:
    """The best score that the column has for another key; 0 where there is none."""
    best = sorted(scores, reverse=True)
    return best[0] if best[0] != score else best[1] if len(best) > 1 else 0.0
