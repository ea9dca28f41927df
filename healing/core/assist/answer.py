"""What a model may answer: the JSON schema that is sent along, and the strict reader of what came back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from healing.core import fixes
from healing.core.signature import of
from healing.core.types import Json, Kind, Misfit

from .choices import Choice
from .redact import Names

MOST_CHARACTERS = 20_000
_NONE = {"op": "none"}
_NOTHING = {
    "type": "object",
    "properties": {"op": {"type": "string", "enum": ["none"]}},
    "required": ["op"],
    "additionalProperties": False,
}


class Answered(Struct, frozen=True):
    """What was read: the ops, or why there are none. ``invalid``: it was no answer at all, against abstaining."""

    ops: tuple[fixes.Fix, ...] = ()
    why: str = ""
    invalid: bool = False


def answer_schema(found: Sequence[Choice], names: Names, misfits: Sequence[Misfit]) -> dict[str, Any]:
    """A JSON schema that admits, for each misfit (``m1``, ``m2``, … as the facts number them), one of its choices or ``none``; in the
    subset that strict structured outputs know."""
    properties = {name: {"anyOf": [*(_object(c, names) for c in own), _NOTHING]} for name, own in _by_misfit(found, misfits).items()}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _by_misfit(found: Sequence[Choice], misfits: Sequence[Misfit]) -> dict[str, list[Choice]]:
    return {f"m{n}": [c for c in found if c.misfit == misfit.signature] for n, misfit in enumerate(misfits, 1)}


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


def read_answer(text: str, found: Sequence[Choice], names: Names, misfits: Sequence[Misfit]) -> Answered:
    """The ops that a model chose, one of the choices for every misfit; else why not. Never raises."""
    if len(text) > MOST_CHARACTERS:
        return Answered(why="the answer is too long", invalid=True)
    try:
        body = msgspec.json.decode(text.strip().encode())
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return Answered(why="the answer is no JSON", invalid=True)
    own = _by_misfit(found, misfits)
    if not isinstance(body, dict) or body.keys() != own.keys():
        return Answered(why="the answer has another form than was asked for", invalid=True)
    chosen: dict[str, dict[str, Json]] = {}
    for (name, some), misfit in zip(own.items(), misfits, strict=True):
        if body[name] == _NONE:
            continue
        op = next((op for choice in some if (op := _op_of(body[name], choice, names)) is not None), None)
        if op is None:
            return Answered(why="the answer names something that was not to be chosen", invalid=True)
        chosen[misfit.signature] = op
    return _whole(chosen, misfits)


def _whole(chosen: dict[str, dict[str, Json]], misfits: Sequence[Misfit]) -> Answered:
    """The fix, where it settles everything: a rename also settles the value that its column was missing."""
    settled = chosen.keys() | {of(Kind.MISSING_VALUE, str(op["to"])) for op in chosen.values() if op["op"] == "rename_column"}
    left = [misfit for misfit in misfits if misfit.signature not in settled]
    if left:
        all_of_it = len(left) == len(misfits)
        return Answered(why="the model was not sure" if all_of_it else f"the answer leaves {len(left)} of {len(misfits)} misfits open")
    try:
        return Answered(fixes.parse(list(chosen.values())))
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
