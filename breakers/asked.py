"""What the code asks of breakers: the first wish makes the row, later ones change it only as long as no person has.

Each process has its own code, so what only code has said is told to nobody.
"""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from django.core.exceptions import ValidationError
from django.db import transaction

from breakers import registry, stored
from breakers.config import next_version
from breakers.core.types import Settings
from breakers.models import BreakerConfig, BreakerConfigVersion
from breakers.models.breaker import FIELDS
from breakers.protected import DESCRIPTIONS, describe

logger = logging.getLogger(__name__)

CODE = "code"
"""Who set what nobody has edited."""
_noted: dict[str, Settings | None] = {}


def note_all() -> int:
    """Makes sure that every breaker which is protected by default, or used in this process, has its row. Returns how many wishes were
    news."""
    wishes: dict[str, Settings | None] = dict.fromkeys(DESCRIPTIONS)
    for view in registry.default.views():
        if view.name not in stored.made:
            wishes[view.name] = registry.get(view.name).declared
    new = [name for name, asked in wishes.items() if name not in _noted or _noted[name] != asked]
    found = sum(_safely(name, wishes[name]) for name in new)
    _noted.update(wishes)
    return found


def forget_noted() -> None:
    """Looks at every row again: for a control database that was changed under us."""
    _noted.clear()


def _safely(name: str, asked: Settings | None) -> bool:
    try:
        return note_asked(name, asked, describe(name)) if asked is not None else _first(name, None, describe(name))
    except ValidationError as error:
        logger.warning("breaker %r cannot be configured here: %s", name, "; ".join(error.messages))
        return False


@transaction.atomic
def note_asked(name: str, asked: Settings, description: str = "") -> bool:
    """Remembers what the code asks for; makes the row where there is none, and follows the code as long as nobody has edited it. Whether
    anything is new. Raises ``ValidationError`` for what no row can hold."""
    wish = _json(asked)
    row = BreakerConfig.objects.select_for_update().filter(name=name).first()
    if row is None:
        return _first(name, wish, description)
    if row.asked == wish and (row.description or not description):
        return False
    row.asked, row.description = wish, row.description or description[:300]
    if not row.edited and row.settings() != wish:
        _follow(row, CODE, "The code asks for it.")
    else:
        row.save(update_fields=["asked", "description", "updated_at"])
    return True


@transaction.atomic
def follow_code(pk: int, *, who: str) -> BreakerConfig:
    """Gives a breaker back to the code: what it asks for is in force, now and later."""
    row = BreakerConfig.objects.select_for_update().get(pk=pk)
    row.edited = False
    if row.settings() != row.asked and row.asked:
        _follow(row, who, "Back to what the code asks for.")
    else:
        row.save(update_fields=["edited", "updated_at"])
    return row


def _follow(row: BreakerConfig, who: str, why: str) -> None:
    """What nobody but the code has said is no news to the code of other processes; else it is a version like any other."""
    for field, value in row.asked.items():
        setattr(row, field, value)
    row.clean_fields()
    if row.version > 1:
        next_version(row, who=who, why=why)
        return
    row.save()
    row.versions.update(settings=row.settings())


def _first(name: str, wish: dict[str, Any] | None, description: str) -> bool:
    facts: dict[str, Any] = {"description": description[:300], "asked": wish or {}, "applied_version": 1, **(wish or {})}
    BreakerConfig(name=name, **facts).clean_fields()
    row, made = BreakerConfig.objects.get_or_create(name=name, defaults=facts)
    if made:
        BreakerConfigVersion.objects.create(config=row, version=row.version, settings=row.settings(), who=CODE, why="First seen.")
    return made


def _json(settings: Settings) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(settings)
    return {field: list(plain[field]) if field == "ramp" else plain[field] for field in FIELDS}


def differs_from_code(row: BreakerConfig) -> dict[str, tuple[Any, Any]]:
    """Fields in which what is in force is not what the code asks for: (asked, in force)."""
    now = row.settings()
    return {name: (asked, now[name]) for name, asked in row.asked.items() if name in now and asked != now[name]}
