"""The small language model alone as a peer: it is shown the key, its kind of value and the columns, and names one or none.

It is a model as it was pre-trained, so it is shown three worked examples, and a grammar leaves it nothing but one of the names to say.
(A JSON schema left it free to fill its answer with blanks until it was cut off: then it gave none at all.)
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from math import exp

import httpx

from benchmarks.matching.outside import Peer, Scores
from healing.core.match.layout import Target
from healing.core.match.scene import Key
from tests.local_model import NAME, served

NONE = "none"
PATIENCE = 600
"""seconds for one answer: it only ends a hang."""
EXAMPLES = """Each time an application sent a key that the table does not have. Say which column it meant, or none.
Key: emailAddress (email). Columns: id (uuid), email_address (text), city (text). Column: email_address
Key: shoe_size (int). Columns: id (uuid), title (text), due_on (date). Column: none
Key: author_id (uuid). Columns: id (uuid), body (text), written_by (uuid), room (uuid). Column: written_by
"""


@contextmanager
def alone() -> Iterator[Peer]:
    """The peer, while its server runs. Its score is how likely it held its own answer."""
    with served() as base_url, httpx.Client(timeout=PATIENCE) as client:

        def scores(key: Key, targets: list[Target]) -> Scores:
            said = client.post(f"{base_url}/chat/completions", json=_question(key, targets)).raise_for_status().json()["choices"][0]
            column = said["message"]["content"].strip()
            return {} if column == NONE else {column: exp(sum(token["logprob"] for token in said["logprobs"]["content"]))}

        yield scores


def _question(key: Key, targets: list[Target]) -> dict[str, object]:
    listed = ", ".join(f"{t.column.name} ({t.column.type})" for t in targets)
    names = [*(target.column.name for target in targets), NONE]
    return {
        "model": NAME,
        "messages": [{"role": "user", "content": f"{EXAMPLES}Key: {key.text} ({key.shape}). Columns: {listed}. Column:"}],
        "temperature": 0,
        "seed": 1,
        "max_tokens": 60,
        "logprobs": True,
        "grammar": 'root ::= " "? (' + " | ".join(json.dumps(name) for name in names) + ")",
    }
