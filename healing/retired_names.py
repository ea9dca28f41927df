"""The end of a former name, decided by a person: rights, a reason, the audit. Every gateway follows within a moment."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from healing import audit, permits
from healing.refusals import NotFound, WrongState
from schema_monitor import aliases
from schema_monitor.aliases import Alias

__all__ = ["restore", "retire"]


@transaction.atomic
def retire(alias_id: str, user: Any, why: str) -> Alias:
    """Gateways follow the name no more: who still sends it gets the plain error, whose hint says today's name. Raises ``NotAllowed``,
    ``NeedsReason``, ``NotFound``, ``WrongState``."""
    alias, why = _decided(alias_id, user, why)
    if alias.state == "retired":
        raise WrongState(f"{alias.name} was retired by {alias.retired_by} already.")
    aliases.set_retired(alias, user.username, why)
    _record(user, "retire", alias, why)
    return alias


@transaction.atomic
def restore(alias_id: str, user: Any, why: str) -> Alias:
    """Takes a retirement back: the name is followed again. Raises as ``retire`` does."""
    alias, why = _decided(alias_id, user, why)
    if alias.state != "retired":
        raise WrongState(f"{alias.name} is not retired.")
    aliases.unset_retired(alias)
    _record(user, "restore", alias, why)
    return alias


def _decided(alias_id: str, user: Any, why: str) -> tuple[Alias, str]:
    permits.require(user, permits.RETIRE_NAME)
    why, alias = permits.require_reason(why), aliases.find(alias_id)
    if alias is None:
        raise NotFound("There is no such former name.", "It may be in use again, or what it meant was dropped.")
    return alias, why


def _record(user: Any, action: str, alias: Alias, why: str) -> None:
    kind, oid, part, _ = alias.former
    audit.record(user.username, action, "alias", f"{kind}:{oid}:{part}", why=f"{alias.place}.{alias.name} -> {alias.now}: {why}")
