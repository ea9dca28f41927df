"""Former names that live on: a rename goes on working for old callers until a person retires the old name.

``aliases`` lists them with who still uses them. Retiring is decided by people, through ``healing.retired_names`` (rights, reason,
audit); ``set_retired`` is what it does here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import connection, transaction
from msgspec.structs import replace

from schema_monitor import traffic, versions
from schema_monitor.core.aliases import Alias, AliasCaller, State, former_names
from schema_monitor.core.lineage import Former, former
from schema_monitor.core.traffic import OldUse
from schema_monitor.traffic_models import RetiredName

__all__ = ["Alias", "AliasCaller", "aliases", "find", "retired_names", "set_retired", "unset_retired"]

LOOKED_BACK = 400
"""Days in which a use still counts as the last one."""
_ORDER = ("in use", "quiet", "retired")


def aliases(relation_oid: int | None = None) -> list[Alias]:
    """Every former name that means exactly one living thing (of that relation), retired ones too; those in use first."""
    version = versions.latest()
    if version is None:
        return []
    _, snapshot, lineage = version
    retired = {_former(row): row for row in RetiredName.objects.all()}
    ever, recent = _by_former(traffic.old_names(LOOKED_BACK)), _by_former(traffic.old_names(traffic.DAYS))
    names = former_names(snapshot, lineage.without(retired))
    kept = (each for each in names if relation_oid is None or each.relation_oid == relation_oid)
    found = [_told(each, retired.get(each.former), ever.get(each.former, []), recent.get(each.former, [])) for each in kept]
    return sorted(found, key=lambda a: (_ORDER.index(a.state), a.schema, a.place, a.name))


def retired_names() -> frozenset[Former]:
    """What is followed no more; for ``Lineage.without``."""
    return frozenset(_former(row) for row in RetiredName.objects.all())


def find(alias_id: str) -> Alias | None:
    """The alias of that id; None where there is none (any more)."""
    return next((alias for alias in aliases() if alias.id == alias_id), None)


@transaction.atomic
def set_retired(alias: Alias, by: str, why: str) -> RetiredName:
    """Gateways stop following the name as soon as this commits."""
    row, _ = RetiredName.objects.update_or_create(**_identity(alias), defaults={"by": by, "why": why})
    _tell()
    return row


@transaction.atomic
def unset_retired(alias: Alias) -> bool:
    """Gateways follow the name again. False where it was not retired."""
    gone, _ = RetiredName.objects.filter(**_identity(alias)).delete()
    _tell()
    return bool(gone)


def _identity(alias: Alias) -> dict[str, Any]:
    schema = alias.schema if alias.kind == "table" else ""
    names = {"relation_oid": alias.relation_oid, "attnum": alias.attnum, "enum_oid": alias.enum_oid, "label_oid": alias.label_oid}
    return {**names, "schema": schema, "name": alias.name}


def _tell() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify('mendgate_snapshot', 'retired')")


def _former(row: RetiredName) -> Former:
    return former(row.relation_oid, row.attnum, row.enum_oid, row.label_oid, row.schema, row.name)


def _by_former(uses: Iterable[OldUse]) -> dict[Former, list[OldUse]]:
    found: dict[Former, list[OldUse]] = {}
    for use in uses:
        place = former(use.relation_oid, use.attnum, use.enum_oid, use.label_oid, use.schema, use.name)
        found.setdefault(place, []).append(use)
    return found


def _told(alias: Alias, retired: RetiredName | None, ever: list[OldUse], recent: list[OldUse]) -> Alias:
    """The alias with its uses and its state."""
    callers = tuple(AliasCaller(u.key, u.caller, u.role, u.uses, u.last_at) for u in recent if u.last_at is not None)
    state: State = "retired" if retired is not None else "in use" if callers else "quiet"
    last = max((use.last_at for use in ever if use.last_at is not None), default=None)
    alias = replace(alias, state=state, callers=callers, last_used_at=last)
    return alias if retired is None else replace(alias, retired_by=retired.by, retired_at=retired.at, why=retired.why)
