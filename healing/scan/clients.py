"""Which clients a file makes, where they lead, and which client a call goes through."""

from __future__ import annotations

import re

from ast_grep_py import SgNode

from healing.core.sources.calls import Client, Via
from healing.scan.addresses import GATEWAY_SETTING, Address, address
from healing.scan.scope import Declared
from healing.scan.source import arguments, bare, inner
from healing.scan.unit import Unit
from healing.scan.values import constant_text

OWN_SETTINGS = frozenset(
    f"{prefix}SUPABASE_URL" for prefix in ("", "NEXT_PUBLIC_", "VITE_", "EXPO_PUBLIC_", "PUBLIC_", "REACT_APP_", "NUXT_PUBLIC_")
)
_MAKERS = frozenset({"createClient", "createServerClient", "createBrowserClient"})
_LOOKS_LIKE = re.compile(r"supabase|client|admin|service|\bdb\b|^sb|_sb|Sb$", re.IGNORECASE)
_NO_CLIENTS = frozenset({"Array", "Buffer", "Object", "Set", "Map", "Date", "Uint8Array", "Observable", "Readable", "Iterator", "Stream"})


class Clients:
    """The clients of one file. ``project``: the own project's reference in ``….supabase.co``, where it is known."""

    def __init__(self, unit: Unit, project: str = "") -> None:
        self.unit, self.project = unit, project
        self.made: dict[int, Client] = {}
        self.calls: dict[int, SgNode] = {}
        for call in unit.source.root.find_all(kind="call_expression"):
            if (via := self._made(call)) is not None:
                at = call.range().start.index
                self.made[at] = Client(unit.source.place(call), *via)
                self.calls[at] = call

    def via(self, receiver: SgNode) -> Via | None:
        """Which way a call on ``receiver`` goes; None where it is no client at all."""
        receiver = bare(receiver)
        text = receiver.text()
        if text in _NO_CLIENTS or text.endswith((".storage", "?.storage")):
            return None
        if receiver.kind() == "call_expression" and (known := self.made.get(receiver.range().start.index)) is not None:
            return known.via
        if receiver.kind() != "identifier":
            return Via.PASSED
        declared = self.unit.scope.find(receiver)
        return Via.PASSED if declared is None else self._of(text, declared)

    def schema(self, receiver: SgNode) -> str | None:
        """The schema that the client was made for: '' = the default one, None = unseen."""
        call = self._call(bare(receiver))
        given = arguments(call) if call is not None else []
        if len(given) < 3:
            return ""
        named = [p for p in given[2].find_all(kind="pair") if (key := p.field("key")) is not None and key.text() == "schema"]
        return constant_text(named[0].field("value"), self.unit.scope) if named else ""

    def is_likely(self, receiver: SgNode) -> bool:
        """Whether something that has ``.rpc`` is a client of Supabase."""
        receiver = bare(receiver)
        if self._call(receiver) is not None or _LOOKS_LIKE.search(receiver.text()):
            return True
        declared = self.unit.scope.find(receiver) if receiver.kind() == "identifier" else None
        return declared is not None and declared.node is not None and declared.kind == "parameter" and "Supabase" in declared.node.text()

    def _call(self, receiver: SgNode) -> SgNode | None:
        """The ``createClient(…)`` behind a receiver, where it is in this file."""
        if receiver.kind() == "identifier":
            declared = self.unit.scope.find(receiver)
            if declared is None or declared.kind != "value":
                return None
            return next((c for n in self._given(receiver.text(), declared) if (c := self.calls.get(_start(n))) is not None), None)
        return self.calls.get(receiver.range().start.index)

    def _of(self, name: str, declared: Declared) -> Via | None:
        if declared.kind == "import":
            return self._imported(declared)
        if declared.kind != "value":
            return Via.PASSED
        for node in self._given(name, declared):
            made = self.made.get(_start(node))
            if made is not None:
                return made.via
            if bare(node).text().endswith(".storage"):
                return None
        return Via.PASSED

    def _given(self, name: str, declared: Declared) -> list[SgNode]:
        """What the variable begins with and is given later."""
        later = (
            []
            if declared.constant
            else [c.field("right") for c in self.unit.scope.changes(name, declared) if c.kind() == "assignment_expression"]
        )
        return [node for node in (declared.node, *later) if node is not None]

    def _imported(self, declared: Declared) -> Via:
        found = self.unit.imported(declared)
        if found is None or found[1].kind != "value" or found[1].node is None:
            return Via.PASSED
        made = Clients(found[0], self.project).made.get(_start(found[1].node))
        return Via.PASSED if made is None else made.via

    def _made(self, call: SgNode) -> tuple[Via, str] | None:
        """Where a client leads and why it cannot be moved, if this call makes one."""
        if not self._makes(call.field("function")):
            return None
        given = arguments(call)
        return leads(address(given[0], self.unit), self.project) if given else (Via.PASSED, "it is made without an address here")

    def _makes(self, callee: SgNode | None) -> bool:
        if callee is None:
            return False
        if callee.kind() == "member_expression":
            base, name = callee.field("object"), callee.field("property")
            declared = self.unit.scope.find(base) if base is not None and base.kind() == "identifier" else None
            return declared is not None and name is not None and name.text() in _MAKERS and "supabase" in declared.origin
        declared = self.unit.scope.find(callee) if callee.kind() == "identifier" else None
        return declared is not None and declared.kind == "import" and declared.name in _MAKERS and "supabase" in declared.origin


def leads(found: Address, project: str) -> tuple[Via, str]:
    """(way, why not ours to move) of a client with that address."""
    if found.moved or GATEWAY_SETTING in found.settings:
        return Via.GATEWAY, ""
    if project and f"//{project}.supabase.co" in found.text:
        return Via.DIRECT, ""
    if not found.seen:
        return Via.PASSED, "its address cannot be seen in this file"
    if found.settings and set(found.settings) <= OWN_SETTINGS:
        return Via.DIRECT, ""
    if found.settings:
        return Via.ELSEWHERE, f"its address is the setting {', '.join(found.settings)}, which may be another project"
    return Via.ELSEWHERE, "its address is written in the source and may be another project" if found.text else "it has no address"


def _start(node: SgNode) -> int:
    node = bare(node)
    return (inner(node)[0] if node.kind() == "await_expression" and inner(node) else node).range().start.index
