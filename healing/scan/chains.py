"""The calls of the data API in a file: ``x.from("t").insert(…).eq(…)`` and ``x.rpc("f", {…})``."""

from __future__ import annotations

from collections.abc import Iterator

from ast_grep_py import SgNode
from msgspec import Struct
from msgspec.structs import replace

from healing.core.sources.calls import UNSEEN, DataCall, Use
from healing.gateway.errors import DialectError
from healing.gateway.filters import Condition, Filter, parse_logic
from healing.scan.clients import Clients
from healing.scan.rows import payloads, rows
from healing.scan.source import arguments, bare, inner, method, text_of, wrapped
from healing.scan.unit import Unit
from healing.scan.values import constant_text, guess

VERBS = frozenset({"select", "insert", "upsert", "update", "delete"})
_FILTERS = frozenset(
    {"eq", "neq", "gt", "gte", "lt", "lte", "like", "ilike", "likeAllOf", "likeAnyOf", "ilikeAllOf", "ilikeAnyOf", "is", "isDistinct", "in"}
    | {"contains", "containedBy", "rangeGt", "rangeGte", "rangeLt", "rangeLte", "rangeAdjacent", "overlaps", "textSearch", "not", "filter"}
)
_ELSEWHERE = ("foreignTable", "referencedTable")
_GAP = "__unseen__"


class Link(Struct):
    """One ``.name(…)`` of a chain."""

    name: str
    call: SgNode


def data_calls(unit: Unit, clients: Clients) -> list[DataCall]:
    """Every call, in the order of the file."""
    found: list[DataCall] = []
    held: dict[int, int] = {}
    chained = [(call, method(call)) for call in unit.source.root.find_all(kind="call_expression")]
    for call, target in chained:
        if target is None:
            continue
        if target[1] == "from":
            one = _from(call, target[0], unit, clients)
            if one is not None:
                held[_outermost(call).range().start.index] = len(found)
                found.append(one)
        elif target[1] == "rpc" and clients.is_likely(target[0]):
            one = _rpc(call, target[0], unit, clients)
            found += [one] if one is not None else []
    for call, target in chained:
        _later(call, target, unit, held, found)
    return sorted(found, key=lambda c: c.place)


def _links(call: SgNode) -> list[Link]:
    """What is chained to a call, in order."""
    found: list[Link] = []
    node = call
    while True:
        access = wrapped(node).parent()
        if access is None or access.kind() != "member_expression" or (base := access.field("object")) is None:
            return found
        after, name = access.parent(), access.field("property")
        if base.range().start.index != node.range().start.index and bare(base) != node:
            return found
        if after is None or name is None or after.kind() != "call_expression" or after.field("function") != access:
            return found
        found.append(Link(name.text(), after))
        node = after


def _outermost(call: SgNode) -> SgNode:
    links = _links(call)
    return links[-1].call if links else call


def _from(call: SgNode, receiver: SgNode, unit: Unit, clients: Clients) -> DataCall | None:
    links = _links(call)
    verb = links[0] if links else None
    if verb is None or verb.name not in VERBS or not arguments(call):
        return None
    root, schema = _root(receiver, unit, clients)
    via = clients.via(root)
    if via is None:
        return None
    table = constant_text(arguments(call)[0], unit.scope)
    made = DataCall(unit.source.place(_name_of(verb.call)), verb.name, table, schema, via)
    return _with_links(_with_payload(made, verb, unit), links, unit)


def _name_of(call: SgNode) -> SgNode:
    """The method's name: where a person looks for the call."""
    function = call.field("function")
    return (function.field("property") if function is not None else None) or call


def _root(receiver: SgNode, unit: Unit, clients: Clients) -> tuple[SgNode, str | None]:
    """The client below ``.schema("x")``, and the schema that is asked for."""
    receiver = bare(receiver)
    found = method(receiver) if receiver.kind() == "call_expression" else None
    if found is not None and found[1] == "schema":
        given = arguments(receiver)
        return found[0], constant_text(given[0], unit.scope) if given else None
    return receiver, clients.schema(receiver)


def _with_payload(made: DataCall, verb: Link, unit: Unit) -> DataCall:
    given = arguments(verb.call)
    if not made.writes or made.operation == "delete" or not given:
        return made
    sent = rows(given[0], unit)
    if sent is None:
        return made
    return replace(made, payloads=sent.payloads, batch=sent.batch and sent.whole and len(sent.payloads) > 1, **_options(given[1:], unit))


def _options(given: list[SgNode], unit: Unit) -> dict[str, object]:
    options = bare(given[0]) if given else None
    if options is None or options.kind() != "object":
        return {}
    pairs = {key.text(): pair for pair in inner(options) if pair.kind() == "pair" and (key := pair.field("key")) is not None}
    found: dict[str, object] = {}
    if "defaultToNull" in pairs:
        found["defaults"] = False in guess(pairs["defaultToNull"].field("value"), unit.scope).values
    if "ignoreDuplicates" in pairs:
        found["ignores"] = True in guess(pairs["ignoreDuplicates"].field("value"), unit.scope).values
    if "onConflict" in pairs and (text := constant_text(pairs["onConflict"].field("value"), unit.scope)) is not None:
        place = unit.source.place(pairs["onConflict"])
        found["uses"] = tuple(Use("conflict", name.strip().strip('"'), place) for name in text.split(",") if name.strip())
    return found


def _with_links(made: DataCall, links: list[Link], unit: Unit) -> DataCall:
    """What the rest of the chain names: filters, order, the select list."""
    uses = list(made.uses)
    for link in links:
        uses += _uses(link, unit)
    select = next((link for link in links if link.name == "select"), None)
    given = arguments(select.call) if select is not None else []
    text = constant_text(given[0], unit.scope) if given else None
    return replace(made, uses=tuple(uses), select=text, select_place=unit.source.place(given[0]) if text is not None else None)


def _uses(link: Link, unit: Unit) -> Iterator[Use]:
    given = arguments(link.call)
    if not given:
        return
    name, place = constant_text(given[0], unit.scope), unit.source.place(given[0])
    if link.name in _FILTERS and name is not None:
        value = guess(given[1], unit.scope) if link.name in ("eq", "neq") and len(given) > 1 else UNSEEN
        yield Use("filter", name, place, link.name, value)
    elif link.name == "order" and name is not None and not any(word in link.call.text() for word in _ELSEWHERE):
        yield Use("order", name, place)
    elif link.name == "match":
        for payload in payloads(given[0], unit) or ():
            yield from (Use("filter", key.name, key.place, "eq", key.value) for key in payload.keys)
    elif link.name == "or" and not any(word in link.call.text() for word in _ELSEWHERE):
        yield from (Use("filter", column, place, "or") for column in _or_columns(given[0]))


def _or_columns(node: SgNode) -> Iterator[str]:
    """The columns that ``.or("a.eq.1,b.is.null")`` names, as far as the text is spelled out."""
    text = text_of(node)
    if text is None and bare(node).kind() == "template_string":
        parts = [_GAP if c.kind() == "template_substitution" else c.text() for c in bare(node).children()[1:-1]]
        text = "".join(parts)
    if text is None:
        return
    try:
        tree = parse_logic("or", False, f"({text})")
    except DialectError:
        return
    yield from dict.fromkeys(name for name in _fields(tree) if _GAP not in name)


def _fields(condition: Condition) -> Iterator[str]:
    if isinstance(condition, Filter):
        yield condition.field.name
        return
    for child in condition.children:
        yield from _fields(child)


def _later(call: SgNode, target: tuple[SgNode, str] | None, unit: Unit, held: dict[int, int], found: list[DataCall]) -> None:
    """``query = query.eq(…)``: filters that are added to a chain in a variable."""
    if target is None or target[0].kind() != "identifier" or target[1] not in _FILTERS | {"order", "match", "or"}:
        return
    declared = unit.scope.find(target[0])
    if declared is None or declared.kind != "value" or declared.node is None:
        return
    at = held.get(bare(declared.node).range().start.index)
    if at is not None:
        links = [Link(target[1], call), *_links(call)]
        found[at] = replace(found[at], uses=(*found[at].uses, *(use for link in links for use in _uses(link, unit))))


def _rpc(call: SgNode, receiver: SgNode, unit: Unit, clients: Clients) -> DataCall | None:
    given = arguments(call)
    root, schema = _root(receiver, unit, clients)
    via = clients.via(root)
    if not given or via is None:
        return None
    name = constant_text(given[0], unit.scope)
    sent = payloads(given[1], unit) if len(given) > 1 else ()
    return DataCall(unit.source.place(_name_of(call)), "rpc", name, schema, via, sent)
