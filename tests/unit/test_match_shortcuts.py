"""The matcher's shortcuts say what the long way says, and what they remember is bounded."""

from __future__ import annotations

import random

import pytest

from healing.core.match import layout as layouts
from healing.core.match import propose, shelves
from healing.core.match.features import FEATURES, MOST, OF_KEY, OF_WORDS, pairs
from healing.core.match.layout import Layout, layout_of
from healing.core.match.leaves import MILLION, Tree, leaves
from healing.core.match.lexicon import PEOPLE, QUALIFIERS, STATISTIC, UNITS
from healing.core.match.likeness import kinship
from healing.core.match.model import shipped
from healing.core.match.names import FAINT, dice, jaro, name_of, same_word, same_words
from healing.core.match.plans import MOST_OPEN
from healing.core.match.scene import MOST_KEYS, Scene, scene_of
from healing.core.match.shelves import places
from healing.core.types import Kind, Misfit, Operation, Row, Statement
from schema_monitor.core.snapshot import Column, Relation, Scope, Snapshot

LEXICON = [sorted(words) for words in (PEOPLE, QUALIFIERS, STATISTIC, UNITS, FAINT)]
WORDS = [word for words in LEXICON for word in words[::7]] + [
    "paid",
    "unpaid",
    "line_1",
    "line_2",
    "completed",
    "completion",
    "notes",
    "note",
]


def chance(seed: int) -> random.Random:
    """Always the same for a seed."""
    return random.Random(seed)  # noqa: S311 - made-up names


def relation_of(columns: int, rng: random.Random) -> Relation:
    """A table of made names."""
    names = list(dict.fromkeys("_".join(rng.sample(WORDS, rng.randrange(1, 4))) for _ in range(columns)))
    kinds = ("text", "int4", "uuid", "jsonb", "bool", "timestamptz")
    made = [Column(i, name, "", rng.choice(kinds), nullable=rng.random() < 0.7) for i, name in enumerate(names, 1)]
    return Relation(1, "public", "customers", "r", tuple(made))


def key_of(rng: random.Random) -> str:
    """A made name, sometimes with a slip of the pen."""
    name = "_".join(rng.sample(WORDS, rng.randrange(1, 4)))
    at = rng.randrange(len(name))
    return name if rng.random() < 0.5 else name[:at] + rng.choice("aexy") + name[at + 1 :]


def scene(seed: int) -> Scene:
    """A payload with unknown keys and some of the columns."""
    rng = chance(seed)
    relation = relation_of(20, rng)
    row: Row = {column.name: "a" for column in relation.columns if rng.random() < 0.3}
    live = {column.name for column in relation.columns}
    keys = {key: rng.choice(("a text", 3, None, True)) for key in (key_of(rng) for _ in range(3)) if key not in live}
    former = tuple(name for name in sorted(live) if rng.random() < 0.8) + tuple(keys) if rng.random() < 0.5 else None
    statement = Statement(rng.choice((Operation.INSERT, Operation.UPDATE)), "public", "customers", (row | keys,))
    misfits = tuple(Misfit(Kind.UNKNOWN_COLUMN, key, value) for key, value in keys.items())
    return scene_of(statement, misfits, relation, Snapshot(Scope("1", 1), 180000, {1: relation}, {}, {}), former)


def walked(tree: Tree, row: list[float]) -> float:
    """The leaf that a row falls into, node by node."""
    at = 0
    while tree[at][0] >= 0:
        feature, threshold, left, right = tree[at]
        at = left if row[feature] <= threshold else right
    return tree[at][1]


def grown(rng: random.Random, depth: int) -> Tree:
    """A tree with features of few values, so that rows often hit a threshold exactly."""
    nodes: list[tuple[int, float, int, int]] = []

    def add(left: int) -> int:
        here = len(nodes)
        nodes.append((-1, round(rng.uniform(-1, 1), 6), 0, 0))
        if left and rng.random() < 0.9:
            feature, threshold = rng.randrange(6), rng.randrange(4) / 2
            nodes[here] = (feature, threshold, add(left - 1), add(left - 1))
        return here

    add(depth)
    return tuple(nodes)


@pytest.mark.parametrize("seed", range(20))
def test_the_leaves_that_are_left_are_those_that_a_walk_through_the_trees_finds(seed: int) -> None:
    rng = chance(seed)
    trees = [grown(rng, 4) for _ in range(rng.randrange(1, 12))]
    asked = leaves(trees, {0}, range(1, 3), [3, 4])
    same = rng.randrange(4) / 2
    rows = [[same, *(rng.randrange(5) / 2 - 0.25 * rng.randrange(2) for _ in range(5))] for _ in range(8)]
    for row in rows[::2]:
        row[3] = 0.0
    for row in rows:
        row[4] *= bool(row[3])
    expected = [sum(walked(tree, row) for tree in trees) for row in rows]
    assert asked.sums(rows) == pytest.approx(expected, abs=1e-12)
    assert asked.sums(rows) == pytest.approx(expected, abs=1e-12)  # now from memory
    assert asked.sums([]) == []


def test_a_leaf_of_more_than_six_decimals_is_refused_and_not_rounded() -> None:
    with pytest.raises(ValueError, match="six decimals"):
        leaves([((-1, 0.1 / MILLION, 0, 0),)], set(), range(0), [0])


@pytest.mark.parametrize("seed", range(15))
def test_scores_are_what_the_trees_and_weights_of_the_shipped_model_say(seed: int) -> None:
    model = shipped()
    for row in pairs(scene(seed), model.habits):
        features = [pair.features for pair in row]
        expected = [
            model.bias + sum(w * f for w, f in zip(model.weights, each, strict=True)) + sum(walked(tree, each) for tree in model.trees)
            for each in features
        ]
        assert model.scores(features) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(30))
def test_what_is_said_to_be_the_same_for_all_columns_of_a_key_is(seed: int) -> None:
    of_key = [i for i, name in enumerate(FEATURES) if name in OF_KEY]
    assert len(of_key) == len(OF_KEY)
    for row in pairs(scene(seed), shipped().habits):
        assert len(row) <= MOST
        assert all(len(pair.features) == len(FEATURES) for pair in row)
        assert len({tuple(pair.features[i] for i in of_key) for pair in row}) <= 1


def test_what_words_say_is_nothing_where_the_first_of_it_says_nothing() -> None:
    of_words = [FEATURES.index(name) for name in OF_WORDS]
    rows = [pair.features for seed in range(60) for row in pairs(scene(seed), shipped().habits) for pair in row]
    unlike = [row for row in rows if row[of_words[0]] == 0.0]
    assert 50 < len(unlike) < len(rows) - 50
    assert not any(row[i] for row in unlike for i in of_words)


@pytest.mark.parametrize("seed", range(30))
def test_a_table_hears_every_word_that_may_stand_for_one_of_its_own(seed: int) -> None:
    rng = chance(seed)
    layout = layout_of(relation_of(25, rng))
    name = name_of(key_of(rng))
    heard = layout.hear(name)
    everything = {word for reading in layout.readings for word in reading.name.words}
    assert [dict(known) for known in heard.alike] == [{o: s for o in everything if (s := same_word(word, o))} for word in name.words]
    for place, reading in enumerate(layout.readings):
        assert layout.close(heard, place) == dice(name, reading.name)
        mine = layout.kinship(heard, place)
        long = kinship(name, reading.name, layout.owner)
        assert (mine.base, mine.found, mine.beside_column) == (long.base, long.found, long.beside_column)
        assert (place in set(places(heard.kin))) == bool(mine.found)


def test_words_that_can_hardly_be_near_are_left_out_only_where_they_are_not() -> None:
    rng = chance(1)
    words = ["".join(rng.choices("abcde", k=rng.randrange(5, 9))) for _ in range(300)]
    near = [(a, b) for a in words for b in words if a != b and jaro(a, b) > 0.9 and a[0] == b[0] and abs(len(a) - len(b)) <= 2]
    assert len(near) > 20
    assert all(same_words(a, (b,)) for a, b in near)


def test_what_a_table_remembers_of_words_and_columns_is_bounded() -> None:
    layout = layout_of(relation_of(120, chance(3)))
    for i in range(2_000):
        layout.hear(name_of(f"customer{chr(97 + i % 26)}{chr(97 + i // 26 % 26)}{chr(97 + i // 676)}"))
    assert len(layout._alike) <= shelves._MOST_WORDS + len(layout.words)
    columns = range(len(layout.names))
    assert len(columns) ** 2 > shelves._MOST_PAIRS
    asked = [(layout.base(i, j), layout.readings[i].name, layout.readings[j].name) for i in columns for j in columns]
    assert len(layout._bases) <= shelves._MOST_PAIRS
    assert all(base == kinship(one, other, layout.owner).base for base, one, other in asked[::97])


def test_of_very_many_unknown_keys_the_first_hundred_are_looked_at_and_the_rest_is_said_to_be_open() -> None:
    relation = Relation(1, "public", "customers", "r", (Column(1, "title", "text", "text"), Column(2, "note", "text", "text")))
    snapshot = Snapshot(Scope("1", 1), 180000, {1: relation}, {}, {})
    keys = ["Title", *(f"thing{i}" for i in range(MOST_KEYS + 50))]
    statement = Statement(Operation.INSERT, "public", "customers", (dict.fromkeys(keys, "a"),))
    misfits = tuple(Misfit(Kind.UNKNOWN_COLUMN, key, "a") for key in keys)
    assert [key.text for key in scene_of(statement, misfits, relation, snapshot).keys] == keys[:MOST_KEYS]
    best = propose(statement, misfits, relation, snapshot, claims={}, lineage=None)[0]
    assert best.fix[0] == {"op": "rename_column", "from": "Title", "to": "title"}
    assert best.evidence["against"][-1] == f"it leaves {len(keys) - 1 - MOST_OPEN} more open"


def test_of_a_name_that_no_column_can_have_only_the_beginning_is_read() -> None:
    letters = "".join(chance(1).choices("abcdefgh_", k=5_000))
    name = name_of(letters)
    assert name.letters.startswith("".join(letters[:200].split("_"))[:100])
    assert len(name.trigrams) < 300
    assert len(name.words) < 300


def test_tables_are_remembered_as_long_as_they_are_the_same_and_not_too_many() -> None:
    def known(made: Relation) -> Layout:
        return layout_of(made)

    relation = relation_of(3, chance(1))
    assert known(relation) is known(relation)
    for i in range(2 * layouts._MOST_TABLES):
        known(Relation(i, "public", "t", "r", ()))
    assert len(layouts._LAYOUTS) <= layouts._MOST_TABLES
    assert known(relation).names == tuple(column.name for column in relation.columns)
    again = relation_of(3, chance(1))
    assert again is not relation
    assert known(again) is known(relation)
    other = Relation(1, "public", "customers", "r", (*relation.columns, Column(9, "more", "text", "text")))
    assert known(other) is not known(relation)
