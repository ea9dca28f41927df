"""The patch that moves a folder of functions to Mendgate: one edit a call that it can prove, a reason for each that it cannot.

    createClient(url, key)  ->  createClient(gatewayUrl(url), key)
    fetch(ai, init)         ->  aiFetch(ai, init, { breaker: "openai", fallback: aiUnavailable })
    new OpenAI({…})         ->  new OpenAI(aiOptions({…}, "openai"))

Arguments are evaluated as before, in the same order and always; nothing changes until the secrets are set. A second run finds nothing.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from pathlib import Path

from ast_grep_py import SgNode
from msgspec import Struct

from healing.core.sources.calls import AiCall, Place, Via
from healing.core.sources.cover import beside
from healing.core.sources.edits import Edit, apply, unified
from healing.core.sources.findings import Finding
from healing.scan.addresses import AI_HELPER, HELPER
from healing.scan.ai import ai_calls
from healing.scan.clients import Clients
from healing.scan.folder import VENDORED, Folder
from healing.scan.imports import Imports
from healing.scan.mending import edit_of
from healing.scan.source import arguments, bare, inner
from healing.scan.unit import Unit

CLIENT = Path(__file__).resolve().parents[2] / "clients" / "typescript" / "src"
PUBLISHED = "npm:@mendgate/client@^0.1.0"
"""Imported where this installation has no source of the client."""
_HELPERS = Path(__file__).parent / "helpers"


class Skipped(Struct, frozen=True):
    """A call that stays as it is, and why."""

    place: Place
    why: str


class Patch(Struct, frozen=True):
    """``files``: path -> (text before or None, text after). ``moved`` counts calls and clients."""

    files: dict[str, tuple[str | None, str]]
    moved: int
    skipped: tuple[Skipped, ...]

    def diff(self, base: str) -> str:
        """The unified diff; ``base`` is the folder's path in its repository."""
        return "".join(unified(posixpath.join(base, path), *self.files[path]) for path in sorted(self.files))


def patch(folder: Folder, client: str = "", former: Iterable[Finding] = ()) -> Patch:
    """``client``: where the helper imports the TypeScript client from; '' = a copy of it in ``_shared``. ``former``: findings whose names
    history knows exactly; the names of today are written for them."""
    renames = _by_file(former)
    files: dict[str, tuple[str | None, str]] = {}
    skipped: list[Skipped] = []
    moved = 0
    for path, unit in folder.units.items():
        edits, missed, count = _file(unit, folder)
        named, unnamed = _renamed(unit, renames.get(path, ()))
        edits, count = [*edits, *named], count + len(named)
        skipped += [*missed, *unnamed]
        if edits:
            files[path] = (unit.source.text, apply(unit.source.text, edits))
            moved += count
    skipped += [Skipped(unread.place, unread.why) for unread in folder.unread]
    needed = {name for _, after in files.values() for name in (HELPER, AI_HELPER) if f"{Path(name).name}" in after}
    files |= dict(_helpers(folder, needed, client))
    return Patch(files, moved, tuple(sorted(skipped, key=lambda s: s.place)))


def _file(unit: Unit, folder: Folder) -> tuple[list[Edit], list[Skipped], int]:
    """The edits of one file with the imports that they need."""
    if unit.source.broken:
        place = unit.source.place(unit.source.broken[0])
        return [], [Skipped(place, "the file is not understood as TypeScript")], 0
    imports = Imports(unit)
    edits: list[Edit] = []
    skipped: list[Skipped] = []
    count = 0
    for found in (*_clients(unit, folder, imports), *_asked(unit, imports)):
        if isinstance(found, Skipped):
            skipped.append(found)
        else:
            edits += found
            count += 1
    return [*imports.edits(), *edits] if edits else [], skipped, count


def _by_file(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for finding in findings:
        found.setdefault(finding.place.file, []).append(finding)
    return found


def _renamed(unit: Unit, findings: Iterable[Finding]) -> tuple[list[Edit], list[Skipped]]:
    """The names of today, where the place says exactly what to write; each character is written once."""
    edits: list[Edit] = []
    skipped: list[Skipped] = []
    for finding in findings:
        edit = None if unit.source.broken else edit_of(finding, unit)
        if edit is None:
            skipped.append(Skipped(finding.place, f"{finding.message}: write it by hand"))
        elif all(edit.end <= other.start or other.end <= edit.start for other in edits):
            edits.append(edit)
        elif edit not in edits:
            skipped.append(Skipped(finding.place, f"{finding.message}: run it again, another change stands in the same place"))
    return edits, skipped


def _clients(unit: Unit, folder: Folder, imports: Imports) -> Iterator[list[Edit] | Skipped]:
    """Each client that is made here."""
    clients = Clients(unit, folder.project)
    for at, client in clients.made.items():
        if client.via is Via.DIRECT:
            target = arguments(clients.calls[at])[0]
            yield _wrapped(target, f"{imports.local(HELPER, 'gatewayUrl')}(", ")")
        elif client.via is not Via.GATEWAY:
            yield Skipped(client.place, client.why or "where it leads cannot be seen")


def _asked(unit: Unit, imports: Imports) -> Iterator[list[Edit] | Skipped]:
    """Each call of an AI service."""
    nodes = {unit.source.place(n): n for kind in ("call_expression", "new_expression") for n in unit.source.root.find_all(kind=kind)}
    for call in ai_calls(unit):
        if call.via is not Via.GATEWAY:
            yield (_fetch if call.how == "fetch" else _sdk)(call, nodes[call.place], unit, imports)


def _fetch(call: AiCall, node: SgNode, unit: Unit, imports: Imports) -> list[Edit] | Skipped:
    callee, given = node.field("function"), arguments(node)
    if callee is None or callee.text() != "fetch":
        name = callee.text() if callee is not None else "something"
        return Skipped(call.place, f"it goes through `{name}`: move the fetch in there")
    if unit.scope.find(callee) is not None:
        return Skipped(call.place, "`fetch` is a name of its own here")
    if len(given) > 2 or any(argument.kind() == "spread_element" for argument in given):
        return Skipped(call.place, "its arguments are spread: which one is which cannot be seen")
    quote = imports.quote
    fallback = imports.local(AI_HELPER, "aiUnavailable")
    more = f"{', undefined' * (len(given) == 1)}, {{ breaker: {quote}{call.provider}{quote}, fallback: {fallback} }}"
    start, end = callee.range(), given[-1].range().end.index
    return [Edit(start.start.index, start.end.index, imports.local(AI_HELPER, "aiFetch")), Edit(end, end, more)]


def _sdk(call: AiCall, node: SgNode, unit: Unit, imports: Imports) -> list[Edit] | Skipped:
    given = arguments(node)
    if call.dialect != "openai":
        return Skipped(call.place, f"the SDK of {call.provider} does not speak OpenAI's dialect: put a breaker around its calls by hand")
    options = bare(given[0]) if len(given) == 1 else None
    if options is None or options.kind() != "object" or any(child.kind() == "spread_element" for child in inner(options)):
        return Skipped(call.place, "its options are not spelled out here")
    if any((key := pair.field("key")) is not None and key.text() == "fetch" for pair in inner(options)):
        return Skipped(call.place, "it has a fetch of its own")
    return _wrapped(given[0], f"{imports.local(AI_HELPER, 'aiOptions')}(", f", {imports.quote}{call.provider}{imports.quote})")


def _wrapped(node: SgNode, before: str, after: str) -> list[Edit]:
    span = node.range()
    return [Edit(span.start.index, span.start.index, before), Edit(span.end.index, span.end.index, after)]


def _helpers(folder: Folder, needed: set[str], client: str) -> Iterator[tuple[str, tuple[None, str]]]:
    """The files that are not there yet."""
    client = client or ("" if (CLIENT / "mod.ts").exists() else PUBLISHED)
    for name in needed:
        if not (folder.root / name).exists():
            text = (_HELPERS / Path(name).name).read_text(encoding="utf-8")
            yield name, (None, text.replace("@mendgate/client", client or beside(name, f"{VENDORED}/mod.ts")))
    if AI_HELPER in needed and not client:
        for source in sorted(CLIENT.glob("*.ts")):
            if not (folder.root / VENDORED / source.name).exists():
                yield f"{VENDORED}/{source.name}", (None, source.read_text(encoding="utf-8").rstrip("\n") + "\n")
