"""What a model may answer: the JSON schema that is sent along, and the strict reader of what came back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from healing.core import fixes
from healing.core.types import Json, Misfit

from .choices import Choice
from .redact import Names

MOST_CHARACTERS = 20_000
_NONE = {"op": "none"}


class Answered(Struct, frozen=True):
    """What was read: the ops, or why there are none. ``invalid``: it was no answer at all, against abstaining."""

    ops: tuple[fixes.Fix, ...] = ()
    why: str = ""
    invalid: bool = False


def answer_schema(found: Sequence[Choice], names: Names) -> dict[str, Any]:
    """A JSON schema that admits these choices and ``none``, in the subset that strict structured outputs know."""
    seen = list({repr(shape := _object(choice, names)): shape for choice in found}.values())
    none = {"type": "object", "properties": {"op": _only("none")}, "required": ["op"], "additionalProperties": False}
    most = max(1, len({choice.misfit for choice in found}))
    ops = {"type": "array", "minItems": 1, "maxItems": most, "items": {"anyOf": [*seen, none]}}
    return {"type": "object", "properties": {"ops": ops}, "required": ["ops"], "additionalProperties": False}


def _object(choice: Choice, names: Names) -> dict[str, Any]:
    properties: dict[str, Any] = {"op": _only(choice.op)}
    for name, value in _seen(choice, names).items():
        properties[name] = _only(value)
    if choice.open:
        properties[choice.open] = {"type": "string", "enum": [names.shown.get(each, each) for each in choice.among]}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _only(value: Json) -> dict[str, Any]:
    kind = "integer" if isinstance(value, int) else "null" if value is None else "string"
    return {"type": kind, "enum": [value]}


def _seen(choice: Choice, names: Names) -> dict[str, Json]:
    """The settled fields as the model sees them; what is hidden is left out."""
    shown = {k: v for k, v in choice.fixed.items() if k not in choice.hidden}
    return {k: names.shown.get(v, v) if isinstance(v, str) else v for k, v in shown.items()}


def read_answer(text: str, found: Sequence[Choice], names: Names, misfits: Iterable[Misfit]) -> Answered:
    """The ops that a model chose, each exactly one of the choices, every misfit settled once; else why not. Never raises."""
    if len(text) > MOST_CHARACTERS:
        return Answered(why="the answer is too long", invalid=True)
    try:
        body = msgspec.json.decode(text.strip().encode())
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return Answered(why="the answer is no JSON", invalid=True)
    if not (isinstance(body, dict) and body.keys() == {"ops"} and isinstance(body["ops"], list) and body["ops"]):
        return Answered(why="the answer has another form than was asked for", invalid=True)
    if _NONE in body["ops"]:
        return Answered(why="the model was not sure")
    return _chosen(body["ops"], found, names, {misfit.signature for misfit in misfits})


def _chosen(said: list[Json], found: Sequence[Choice], names: Names, wanted: set[str]) -> Answered:
    chosen: list[tuple[Choice, dict[str, Json]]] = []
    for op in said:
        match = next((each for each in ((c, _op_of(op, c, names)) for c in found) if each[1] is not None), None)
        if match is None or match[1] is None:
            return Answered(why="the answer names something that was not to be chosen", invalid=True)
        if match[0].misfit in {choice.misfit for choice, _ in chosen}:
            return Answered(why="the answer settles one thing twice", invalid=True)
        chosen.append((match[0], match[1]))
    settled = {choice.misfit for choice, _ in chosen} | {f"missing_value:{op['to']}" for c, op in chosen if c.op == "rename_column"}
    if left := sorted(wanted - settled):
        return Answered(why=f"the answer leaves {len(left)} of {len(wanted)} misfits open")
    try:
        return Answered(fixes.parse([op for _, op in chosen]))
    except fixes.FixError:
        return Answered(why="the answer is no fix", invalid=True)


def _op_of(said: Json, choice: Choice, names: Names) -> dict[str, Json] | None:
    """The op in real names, if what was said is this choice and nothing more."""
    fields = {"op": choice.op, **_seen(choice, names)}
    if not isinstance(said, dict) or said.keys() != fields.keys() | ({choice.open} if choice.open else set()):
        return None
    if any(type(said[k]) is not type(v) or said[k] != v for k, v in fields.items()):
        return None
    op: dict[str, Json] = {"op": choice.op, **choice.fixed}
    if choice.open:
        picked = next((each for each in choice.among if names.shown.get(each, each) == said[choice.open]), None)
        if picked is None:
            return None
        op[choice.open] = picked
    return op
