"""Shows what is wrong with the environment as Django system checks."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from django.core.checks import CheckMessage, Error, Warning, register

from resilience_site.config import config

DOTENV = Path(__file__).resolve().parent.parent / ".env"
_NAMED = re.compile(r"^(?:export )?([A-Z][A-Z0-9_]*)=", re.MULTILINE)


def register_all() -> None:
    """Called once when Django is ready."""
    register(environment)


def environment(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """One message per problem, with its id and its fix."""
    found = [(Error if p.is_error else Warning)(p.message, hint=p.hint, id=p.id) for p in config().problems]
    return [*found, *unread(DOTENV, os.environ)]


def unread(path: Path, environ: Mapping[str, str]) -> Sequence[CheckMessage]:
    """A warning where a file ``.env`` names what the environment lacks: whoever wrote it thinks that it is read."""
    try:
        named = _NAMED.findall(path.read_text("utf-8", "replace"))
    except OSError:
        return []
    if not (missing := [name for name in named if name not in environ]):
        return []
    message = f"{path.name} names {', '.join(missing[:5])}, which the environment lacks: that file is not read."
    return [Warning(message, hint=f"Run this before: set -a; . ./{path.name}; set +a", id="mendgate.W004")]
