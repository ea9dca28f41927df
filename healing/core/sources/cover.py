"""How far a folder of functions has been moved: each function with the shared files that it uses, and the totals once a file."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from enum import StrEnum

from msgspec import Struct

from healing.core.sources.calls import AiCall, DataCall, FileCalls, Via
from healing.core.sources.findings import Finding, Level


class State(StrEnum):
    """How far one function is."""

    DIRECT = "direct"
    PARTLY = "partly moved"
    MOVED = "moved"
    NOTHING = "nothing to move"


class Function(Struct, frozen=True):
    """One deployable function. ``direct`` and ``moved`` count calls; ``errors`` and ``warnings`` findings in its own files."""

    name: str
    state: State
    files: tuple[str, ...]
    shared: tuple[str, ...]
    """files outside of its folder that it uses."""
    reads: int
    writes: int
    rpc: int
    ai: int
    direct: int
    moved: int
    errors: int
    warnings: int
    webhook: bool
    tables: tuple[str, ...]
    """those it writes to."""

    @property
    def calls(self) -> int:
        """All calls of the data API and of AI services."""
        return self.reads + self.writes + self.rpc + self.ai


def functions(files: Iterable[FileCalls], findings: Iterable[Finding] = ()) -> tuple[Function, ...]:
    """Every function of the folder, by name. A folder that begins with ``_`` or ``.`` holds what they share."""
    known = {file.path: file for file in files}
    told = list(findings)
    names = sorted({name for path in known if (name := function_of(path))})
    return tuple(_function(name, known, told) for name in names)


def function_of(path: str) -> str:
    """The function that a file belongs to; '' for what is shared or lies beside them."""
    name, _, rest = path.partition("/")
    return name if rest and not name.startswith(("_", ".")) else ""


def reached(own: Iterable[str], known: Mapping[str, FileCalls]) -> set[str]:
    """The files and all that they import, directly or not."""
    found: set[str] = set()
    ahead = list(own)
    while ahead:
        path = ahead.pop()
        if path not in found and path in known:
            found.add(path)
            ahead += known[path].imports
    return found


def _function(name: str, known: Mapping[str, FileCalls], findings: list[Finding]) -> Function:
    own = {path for path in known if function_of(path) == name}
    used = reached(own, known)
    parts = [known[path] for path in sorted(used)]
    data = [call for part in parts for call in part.data if call.via is not Via.ELSEWHERE]
    ai = [call for part in parts for call in part.ai]
    direct, moved = _ways(parts, data, ai)
    mine = [finding for finding in findings if finding.place.file in own]
    return Function(
        name=name, state=_state(direct, moved), files=tuple(sorted(own)), shared=tuple(sorted(used - own)),
        reads=sum(c.operation == "select" for c in data), writes=sum(c.writes for c in data), rpc=sum(c.operation == "rpc" for c in data),
        ai=len(ai), direct=direct, moved=moved, errors=_count(mine, Level.ERROR), warnings=_count(mine, Level.WARNING),
        webhook=any(known[path].webhook for path in own), tables=tuple(sorted({c.table for c in data if c.writes and c.table})),
    )  # fmt: skip


def _count(findings: list[Finding], level: Level) -> int:
    return sum(finding.level is level for finding in findings)


def _ways(parts: list[FileCalls], data: list[DataCall], ai: list[AiCall]) -> tuple[int, int]:
    """(direct, moved) calls. A call on a client that was handed in goes where the clients of these files go."""
    clients = {client.via for part in parts for client in part.clients}
    handed_in = Via.GATEWAY if Via.GATEWAY in clients and not clients & {Via.DIRECT, Via.PASSED} else Via.DIRECT
    ways = [handed_in if call.via is Via.PASSED else call.via for call in data] + [call.via for call in ai]
    return sum(way is Via.DIRECT for way in ways), sum(way in (Via.GATEWAY, Via.SETTING) for way in ways)


def _state(direct: int, moved: int) -> State:
    if not direct:
        return State.MOVED if moved else State.NOTHING
    return State.PARTLY if moved else State.DIRECT


class Totals(Struct, frozen=True):
    """The burn-down's numbers."""

    functions: int
    direct: int
    partly: int
    moved: int
    nothing: int
    calls: int
    """in all files, each counted once."""
    writes: int
    ai: int
    errors: int
    warnings: int
    notes: int
    unread: int

    @property
    def to_move(self) -> int:
        """Functions that still call something directly."""
        return self.direct + self.partly

    @property
    def share(self) -> float:
        """The part of those with something to move that are moved, 0..1."""
        total = self.to_move + self.moved
        return self.moved / total if total else 1.0


def totals(found: Iterable[Function], files: Iterable[FileCalls], findings: Iterable[Finding]) -> Totals:
    """Sums up a scan."""
    all_files, told = list(files), [finding.level for finding in findings]
    states = [function.state for function in found]
    data = [call for file in all_files for call in file.data if call.via is not Via.ELSEWHERE]
    ai = sum(len(file.ai) for file in all_files)
    return Totals(
        functions=len(states), direct=states.count(State.DIRECT), partly=states.count(State.PARTLY), moved=states.count(State.MOVED),
        nothing=states.count(State.NOTHING), calls=len(data) + ai, writes=sum(call.writes for call in data), ai=ai,
        errors=told.count(Level.ERROR), warnings=told.count(Level.WARNING), notes=told.count(Level.NOTE),
        unread=sum(bool(file.unread) for file in all_files),
    )  # fmt: skip


def beside(path: str, target: str) -> str:
    """How ``path`` imports ``target``: relative, always with a dot in front."""
    found = posixpath.relpath(target, posixpath.dirname(path) or ".")
    return found if found.startswith(".") else f"./{found}"
