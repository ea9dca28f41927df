"""The scripts that are the shared breaker, and what they answer. Sent with EVAL each time: not everybody may ``SCRIPT LOAD``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from breakers.core.types import Counts, Settings, Standing, State
from breakers.shared.keys import Names

Command = tuple[Any, ...]
_LUA = Path(__file__).parent / "lua"
_COMMON = (_LUA / "common.lua").read_text()
_ANSWERED = 12
_MEND = """
local function is(key, kind) local found = redis.call('TYPE', key).ok return found == 'none' or found == kind end
if not is(KEYS[5], 'stream') then return redis.call('DEL', KEYS[5]) end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
if not is(KEYS[4], 'hash') then redis.call('DEL', KEYS[4]) end
return 1
"""
_encode = msgspec.json.encode
SCRIPTS = {name: _COMMON + (_LUA / f"{name}.lua").read_text() for name in ("report", "acquire", "renew", "settle", "throttle", "configure")}


class Claim(msgspec.Struct, frozen=True):
    """What a process knew of the shared breaker: counts where the server forgot it. ``remaining`` is milliseconds."""

    state: State = State.CLOSED
    remaining: int = 0
    trips: int = 0
    why: dict[str, Any] | None = None


class Asker(msgspec.Struct, frozen=True):
    """Who sends a script, about which breaker, and what it knows."""

    names: Names
    source: str
    name: str
    settings: Settings
    known: int
    claim: Claim
    chance: float


def command(script: str, asker: Asker, *arguments: str | int) -> Command:
    """The EVAL of a script (``SCRIPTS``)."""
    keys = asker.names.of(asker.name)
    fixed = (asker.name, asker.names.channel, keys.windows, _encode(asker.settings), asker.source, asker.known, f"{asker.chance:.6f}")
    return (
        *("EVAL", SCRIPTS[script], 5, keys.state, keys.leases, keys.sources, keys.config, asker.names.log),
        *(*fixed, _encode(asker.claim), *arguments),
    )


def mend(names: Names, name: str) -> Command:
    """Forgets what is held of a breaker, but for a configuration that can be read; where it is the log that is none, only that."""
    keys = names.of(name)
    return ("EVAL", _MEND, 5, keys.state, keys.leases, keys.sources, keys.config, names.log)


def glance(names: Names, name: str) -> tuple[Command, Command]:
    """What changes whenever the breaker does: cheap to ask for."""
    keys = names.of(name)
    return ("HMGET", keys.state, "ver", "thr"), ("HGET", keys.config, "cfgv")


def standing(answer: list[Any]) -> Standing:
    """A script's answer as a value."""
    override, ramp, why = answer[1].decode(), int(answer[6]), answer[8]
    return Standing(
        state=State(answer[0].decode()),
        override=State(override) if override else None,
        version=int(answer[2]),
        config_version=int(answer[3]),
        remaining=int(answer[4]) / 1000,
        trips=int(answer[5]),
        ramp_elapsed=None if ramp < 0 else ramp / 1000,
        throttled=int(answer[7]) / 1000,
        why=msgspec.json.decode(why) if why else None,
        counts=Counts(int(answer[9]), int(answer[10]), int(answer[11])),
    )


def trial(answer: list[Any]) -> tuple[int, float]:
    """Of an answer to ``acquire``: 1 granted, 0 refused, 2 none is needed; seconds until asking again makes sense."""
    return int(answer[_ANSWERED]), int(answer[_ANSWERED + 1]) / 1000
