"""A column that was dropped while another of a compatible type was added is proposed to people as a rename: once approved, what old
callers send under the old name goes into the new column. Nothing is healed so before somebody says yes."""

from __future__ import annotations

import logging
from typing import Any

from django.db import transaction
from django.db.models.signals import post_save

from healing.checked_fix import content_hash, plain, sentence
from healing.core import fixes
from healing.core.signature import of
from healing.core.types import Kind
from healing.models import Proposal, Source
from schema_monitor import versions
from schema_monitor.core.suggest import Suggested, suggested_renames
from schema_monitor.models import SchemaVersion

log = logging.getLogger(__name__)
AUTHOR = "schema monitor"
CHANCE = 0.6
"""Of the only candidate; several share it. An opinion, not a measurement: drop and add is also how columns are replaced."""
MOST = 50


def connect() -> None:
    """Listens for new versions."""
    post_save.connect(_on_version, sender=SchemaVersion, dispatch_uid="healing.suggested_renames")


def _on_version(sender: Any, instance: SchemaVersion, created: bool, **_: Any) -> None:
    """In the transaction that stores the version. A fault of ours costs the suggestions, not the version."""
    past = getattr(instance, "past", None)
    if not created or past is None:
        return
    try:
        with transaction.atomic():
            for found in suggested_renames(past, versions.of(instance)[0])[:MOST]:
                _propose(found, instance.epoch)
    except Exception:
        log.exception("renames could not be suggested")


def _propose(found: Suggested, epoch: int) -> None:
    for column in found.came:
        ops = (fixes.RenameColumn(found.gone.name, column.name),)
        facts = {
            "fix": plain(ops), "sentence": sentence(ops), "source": Source.MATCHER, "author": AUTHOR,
            "probability": CHANCE / len(found.came), "evidence": _evidence(found, column.name, column.type, epoch),
        }  # fmt: skip
        place = {"schema": found.relation.schema, "table": found.relation.name, "signature": of(Kind.UNKNOWN_COLUMN, found.gone.name)}
        Proposal.objects.get_or_create(**place, content_hash=content_hash(ops), defaults=facts)


def _evidence(found: Suggested, name: str, type_: str, epoch: int) -> dict[str, list[str]]:
    gone = found.gone
    same = f"both are {type_}" if gone.type == type_ else f"{type_} takes every {gone.type}"
    against = ["a column that is dropped and one that is added may have nothing to do with each other"]
    if len(found.came) > 1:
        against.append(f"{len(found.came)} columns were added that could be it")
    return {"for": [f"{gone.name} was dropped and {name} added together (schema version {epoch})", same], "against": against}
