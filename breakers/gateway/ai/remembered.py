"""The last configuration on disk, for a start without the control database. Keys are sealed in it, as they are there."""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path

log = logging.getLogger("mendgate.ai")

NAME = "ai-rows.json"


def remember(home: Path, text: str) -> None:
    """Replaces the file whole; a disk that refuses is only logged."""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{NAME}-", dir=home)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            Path(temporary).replace(home / NAME)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
    except OSError as error:
        log.warning("could not save the AI gateway's configuration: %s", error)


def remembered(home: Path) -> str | None:
    """What was saved last; None where nothing was."""
    try:
        return (home / NAME).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
