"""What a gateway last knew, on disk: so that a process that starts while the control database is away still knows keys, rules,
policies and the schema's history (promise 6). Holds no secret: keys are hashes, payloads are not in it. Readable by us only.
"""

from __future__ import annotations

import asyncio
import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from healing.gateway.parts import Parts

log = logging.getLogger("mendgate.state")
FILE = "remembered.json"
_PAUSE = 0.5
"""Seconds for which changes are gathered."""


class Memory:
    """Saves what ``known`` says a moment after it changed, off the event loop; several changes are saved once, and none that comes
    meanwhile is forgotten. Nothing is saved before ``begin``."""

    def __init__(self, home: Path, known: Callable[[], Parts]) -> None:
        self._home, self._known = home, known
        self._begun = self._unsaved = False
        self._saving: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self._begun = True
        self.changed()

    def changed(self) -> None:
        """There is something new to save."""
        self._unsaved = True
        if self._begun and (self._saving is None or self._saving.done()):
            self._saving = asyncio.ensure_future(self._save_soon())

    async def end(self) -> None:
        """Returns once everything is saved."""
        if self._saving is not None:
            await self._saving

    async def _save_soon(self) -> None:
        while self._unsaved:
            await asyncio.sleep(_PAUSE)
            self._unsaved = False
            await asyncio.to_thread(save, self._home, self._known())


def save(home: Path, parts: Parts) -> None:
    """Replaces the file whole. A full or read-only disk costs the memory, not the service."""
    try:
        handle, name = tempfile.mkstemp(dir=home, prefix=FILE)
        with os.fdopen(handle, "wb") as file:
            file.write(msgspec.json.encode(parts))
        Path(name).replace(home / FILE)
    except OSError as error:
        log.warning("could not remember the state on disk: %s", error)


def load(home: Path) -> Parts | None:
    """What was saved, if it can be read."""
    try:
        return msgspec.json.decode((home / FILE).read_bytes(), type=Parts)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        log.warning("the remembered state cannot be read: %s", error)
        return None
