"""What a gateway last knew, on disk: so that a process that starts while the control database is away still knows keys, rules,
policies and the schema's history (promise 6). Holds no secret: keys are hashes, payloads are not in it. Readable by us only.
"""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from healing.gateway.state import Parts

log = logging.getLogger("mendgate.state")
FILE = "remembered.json"


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
    from healing.gateway.state import Parts

    try:
        return msgspec.json.decode((home / FILE).read_bytes(), type=Parts)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        log.warning("the remembered state cannot be read: %s", error)
        return None
