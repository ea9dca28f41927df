"""The faults: what each does to the scratch Mendgate, how it is lifted, and what must hold while it lasts."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable

from msgspec import Struct

from resilience_site.gameday import our_deeds as ours
from resilience_site.gameday import target_deeds as target
from resilience_site.gameday.stage import STATEMENT_SECONDS, Stage

Deed = Callable[[Stage, random.Random], Awaitable[object]]


async def _nothing(stage: Stage, rng: random.Random) -> None:
    """It is over by itself."""


class Fault(Struct, frozen=True):
    """``lasts``: seconds, usually. ``harmless``: writes that need neither healing nor quarantine must not feel it at all. ``unkept``: what
    cannot be healed cannot be kept meanwhile, so it is refused. ``refuses``: codes with which any request may be refused for good."""

    title: str
    must: str
    lasts: float
    inject: Deed
    lift: Deed = _nothing
    harmless: bool = False
    unkept: bool = False
    refuses: frozenset[str] = frozenset()


_ONE_END = "every request still ends as one of the three"
_UNFELT = "writes that need no healing do not feel it"
_RENAMED = "the old name goes on landing, nobody is refused"
_lock, _long_lock = target.Lock(), target.Lock()


FAULTS: dict[str, Fault] = {
    "web-kill": Fault("A web process is killed (kill -9)", f"{_ONE_END}; the other one serves", 1.0, ours.kill_web),
    "web-stop": Fault("A web process is asked to end and starts again", f"{_ONE_END}; the other one serves", 1.0, ours.stop_web),
    "worker-kill": Fault(
        "The worker is killed (kill -9)", f"{_UNFELT}; its work is done by the next", 1.0, ours.kill_worker, harmless=True
    ),
    "watch-kill": Fault("Watcher and scheduler are killed, a column is renamed", _RENAMED, 2.0, ours.kill_watch, harmless=True),
    "valkey-down": Fault("Valkey is killed and stays away", _UNFELT, 4.0, ours.stop_valkey, ours.start_valkey, harmless=True),
    "valkey-hang": Fault("Valkey answers nothing", _UNFELT, 4.0, ours.halt_valkey, ours.resume_valkey, harmless=True),
    "valkey-full": Fault("Valkey is full and takes nothing", _UNFELT, 4.0, ours.fill_valkey, ours.empty_valkey, harmless=True),
    "valkey-flush": Fault("Valkey loses everything (FLUSHALL)", _UNFELT, 1.0, ours.flush_valkey, harmless=True),
    "control-down": Fault(
        "The control database is closed", f"{_UNFELT}; what cannot be kept is refused", 4.0, ours.close_control, ours.open_control,
        harmless=True, unkept=True,
    ),
    "control-hang": Fault(
        "The control database answers nothing", f"{_UNFELT}; what cannot be kept is refused", 4.0, ours.freeze_control, ours.thaw_control,
        harmless=True, unkept=True,
    ),
    "slow": Fault(
        "The way to the target is slow", "everything takes longer, nobody is refused", 4.0, target.slow, target.quick, harmless=True
    ),
    "rename": Fault("A column is renamed under its writers", _RENAMED, 2.0, target.rename, harmless=True),
    "add-column": Fault("A column is added that writes wait for", "they land, once", 4.0, target.add_column, harmless=True),
    "drop-column": Fault("A column is dropped under its writers", "their writes are kept, once", 2.0, target.drop_column, harmless=True),
    "backend-end": Fault("The target ends every connection", f"{_ONE_END}; nothing is half written", 1.0, target.end_backends),
    "database-crash": Fault(
        "A backend is killed, Postgres recovers", f"{_ONE_END}; what was answered is there", 2.0,
        target.crash_database, target.recovered, unkept=True,
    ),
    "database-down": Fault(
        "Postgres is stopped at once, stays away, recovers", f"{_ONE_END}; what was answered is there", 3.0,
        target.stop_database, target.start_database, unkept=True,
    ),
    "cut": Fault("The way to the target is cut, three times", f"{_ONE_END}; no commit is lost or doubled", 1.0, target.cut),
    "rename-cut": Fault(
        "A column is renamed while the way is cut", f"{_ONE_END}; the old name goes on landing", 2.0, target.rename_unheard
    ),
    "freeze": Fault("The way to the target freezes", f"{_ONE_END}; nothing piles up", 3.0, target.freeze, target.thaw),
    "lock": Fault("Two tables are locked", f"{_ONE_END}; the others go on", 3.0, _lock.take, _lock.release),
    "lock-long": Fault(
        "Two tables are locked for longer than a statement may take", f"{_ONE_END}; whoever waited too long is told so",
        STATEMENT_SECONDS + 3.0, _long_lock.take, _long_lock.release,
    ),
    "places": Fault(
        "The target has no connection left but one", f"{_ONE_END}; nobody waits for ever", 3.0, target.take_places, target.give_places
    ),
    "read-only": Fault(
        "The target takes no writes (read only)", f"{_ONE_END}; writes land again afterwards", 3.0,
        target.close_to_writes, target.open_to_writes,
    ),
    "role-revoked": Fault(
        "The gateway may not become its callers' role", "refused without effect; nobody's right is replaced by another's", 3.0,
        target.revoke, target.grant, refuses=frozenset({"42501"}),
    ),
}  # fmt: skip
