"""Shows what is wrong with the environment as Django system checks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Error, Warning, register

from resilience_site.config import config


def register_all() -> None:
    """Called once when Django is ready."""
    register(environment)


def environment(app_configs: Any, **kwargs: Any) -> Sequence[CheckMessage]:
    """One message per problem, with its id and its fix."""
    return [(Error if p.is_error else Warning)(p.message, hint=p.hint, id=p.id) for p in config().problems]
