"""Which function a call means: PostgREST's overload rules."""

from __future__ import annotations

from msgspec import Struct

from healing.gateway.errors import ambiguous_function, unknown_function
from schema_monitor.core.snapshot import Argument, Column, Function, Relation, Snapshot

INPUTS = ("i", "b", "v")
OUTPUTS = ("o", "b", "t")
_RAW = {
    "json": "application/json",
    "jsonb": "application/json",
    "text": "text/plain",
    "xml": "text/xml",
    "bytea": "application/octet-stream",
}
RAW_MEDIA = ("text/plain", "text/xml", "application/octet-stream")


class Called(Struct, frozen=True):
    """The function, and whether the whole body is its one unnamed argument."""

    function: Function
    unnamed: bool = False


def inputs_of(function: Function) -> tuple[Argument, ...]:
    """The arguments that a call gives."""
    return tuple(argument for argument in function.arguments if argument.mode in INPUTS)


def find_function(
    snapshot: Snapshot,
    schema: str,
    name: str,
    given: tuple[str, ...],
    *,
    post: bool = False,
    content_type: str = "application/json",
) -> Called:
    """The one function of that name that takes those arguments by name; else, for POST, the one with a single unnamed argument
    of the body's type. PGRST202 for none, PGRST203 for several."""
    named = [f for f in snapshot.functions.values() if f.schema == schema and f.name == name and f.returns != "trigger"]
    raw = post and content_type in RAW_MEDIA
    fitting = [f for f in named if not raw and _takes(f, frozenset(given))]
    if len(fitting) == 1:
        return Called(fitting[0])
    whole = [f for f in named if post and _unnamed(f, content_type)]
    if not fitting and len(whole) == 1:
        return Called(whole[0], True)
    if fitting or whole:
        raise ambiguous_function(tuple(_signature(f) for f in fitting or whole))
    raise unknown_function(schema, name, tuple(sorted(given)), post=post)


def _takes(function: Function, given: frozenset[str]) -> bool:
    arguments = inputs_of(function)
    required = {a.name for a in arguments if not a.has_default}
    return all(a.name for a in arguments) and required <= given <= {a.name for a in arguments}


def _unnamed(function: Function, content_type: str) -> bool:
    arguments = inputs_of(function)
    return len(arguments) == 1 and not arguments[0].name and _RAW.get(arguments[0].type) == content_type


def _signature(function: Function) -> str:
    arguments = ", ".join(f"{a.name} => {a.type}" for a in inputs_of(function))
    return f"{function.schema}.{function.name}({arguments})"


def result_of(snapshot: Snapshot, function: Function) -> Relation | None:
    """The shape of the rows it returns: a table's, or that of its output arguments; None for one value, or for a composite
    type that the catalog does not describe."""
    if function.returns_relation is not None and function.returns_relation in snapshot.relations:
        return snapshot.relations[function.returns_relation]
    outputs = [a for a in function.arguments if a.mode in OUTPUTS]
    if not outputs:
        return None
    columns = tuple(_column(number, argument) for number, argument in enumerate(outputs, 1))
    return Relation(0, function.schema, function.name, "c", columns)


def _column(number: int, argument: Argument) -> Column:
    array = argument.type.endswith("[]")
    return Column(number, argument.name, argument.type, argument.base or argument.type.removesuffix("[]"), array=array)


def is_scalar(function: Function) -> bool:
    """It returns one value, or a set of single values, rather than rows."""
    outputs = any(a.mode in OUTPUTS for a in function.arguments)
    return not (outputs or function.returns_composite or function.returns_relation is not None or function.returns == "record")
