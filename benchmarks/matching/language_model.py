"""The small language model alone as a peer: it is shown the key, its kind of value and the columns, and names one or none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from benchmarks.matching.outside import Peer, Scores
from healing.core.match.scene import Key, Target
from tests.local_model import NAME, served

NONE = "none of them"


@contextmanager
def alone() -> Iterator[Peer]:
    """The peer, while its server runs."""
    with served() as base_url, httpx.Client(timeout=120) as client:

        def scores(key: Key, targets: list[Target]) -> Scores:
            said = client.post(f"{base_url}/chat/completions", json=_question(key, targets)).raise_for_status().json()
            column = json.loads(said["choices"][0]["message"]["content"])["column"]
            return {} if column == NONE else {column: 1.0}

        yield scores


def _question(key: Key, targets: list[Target]) -> dict[str, object]:
    names = [target.column.name for target in targets]
    listed = ", ".join(f"{t.column.name} ({t.column.type})" for t in targets)
    text = f"A write has the unknown key `{key.text}` with {key.shape} as value. The table has: {listed}. Which column is meant, if any?"
    schema = {
        "type": "object",
        "properties": {"column": {"type": "string", "enum": [*names, NONE]}},
        "required": ["column"],
        "additionalProperties": False,
    }
    return {
        "model": NAME,
        "messages": [{"role": "user", "content": text}],
        "temperature": 0,
        "seed": 1,
        "max_tokens": 60,
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}},
    }
