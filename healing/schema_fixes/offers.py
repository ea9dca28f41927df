"""What could be done about causes of quarantine beside a fix: migrations, and ways around them, made from everything that waits.

1. what waits for each cause is counted
2. the newest writes to each table are opened, whoever sent them: a column's type must take all of it
3. the core makes its proposals against the newest schema version
4. what a person decided already is told with them
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import Count, Q, Sum
from msgspec import Struct
from msgspec.structs import replace

from healing.core.ddl import Cause, Instead, SchemaProposal, instead_of, schema_proposals, settled
from healing.core.types import Row
from healing.live_schema import find_relation, latest_snapshot
from healing.models import Proposal, QuarantineItem
from healing.refusals import DoesNotFit
from healing.schema_fixes.models import SchemaFix
from healing.sealed_rows import sound_rows
from schema_monitor import traffic
from schema_monitor.core.snapshot import Relation, Snapshot

Place = tuple[str, str, str]
"""schema, table, signature"""
OPEN = ("waiting", "parked", "conflict")
MOST_WRITES, MOST_ROWS = 500, 5_000
"""of one table that are opened, newest first."""
_IDS = uuid.UUID("6f6f9b4e-0d0c-4e58-9a3b-51b0a4f3f1de")


class Waiting(Struct, frozen=True):
    """What waits for a cause."""

    writes: int = 0
    rows: int = 0
    callers: int = 0

    def __str__(self) -> str:
        return f"{_many(self.writes, 'write')} with {_many(self.rows, 'row')} from {_many(self.callers, 'caller')} wait for it."


class Offer(Struct, frozen=True):
    """A migration with its id, which stays the same as long as the SQL does. ``decided``: the row, where a person decided about it."""

    id: uuid.UUID
    proposal: SchemaProposal
    content_hash: str
    decided: SchemaFix | None = None


class Offers(Struct, frozen=True):
    """All about one cause. ``caught_up``: the schema has what was missing, so what waits can be replayed."""

    place: Place
    waiting: Waiting
    schema: tuple[Offer, ...] = ()
    instead: tuple[Instead, ...] = ()
    caught_up: bool = False
    likely: Proposal | None = None
    """A fix that is more likely than not: then the schema may be right and the caller is not."""


def offers_for(places: Iterable[Place]) -> dict[Place, Offers]:
    """For each cause; one without anything that waits is offered nothing."""
    wanted = list(dict.fromkeys(places))
    waiting = _waiting(wanted)
    found = {place: Offers(place, waiting.get(place, Waiting())) for place in wanted}
    try:
        snapshot = latest_snapshot()[1]
    except DoesNotFit:
        return found
    decided, likely = _decided(wanted), _likely(wanted)
    for table in dict.fromkeys(place[:2] for place in waiting):
        relation = find_relation(snapshot, *table)
        opened = _opened(*table)
        senders = _senders(relation)
        rows = tuple(row for each in opened.values() for row in each)
        for place in (p for p in waiting if p[:2] == table):
            cause = Cause(*place, rows, opened.get(place[2], ()), senders)
            found[place] = replace(_offers(cause, relation, snapshot, waiting[place], decided), likely=likely.get(place))
    return found


def _offers(cause: Cause, relation: Relation | None, snapshot: Snapshot, waiting: Waiting, decided: Mapping[Any, SchemaFix]) -> Offers:
    place = (cause.schema, cause.table, cause.signature)
    made = []
    for proposal in schema_proposals(cause, relation, snapshot):
        digest = hashlib.sha256(proposal.sql.encode()).hexdigest()
        made.append(Offer(_id(place, digest), proposal, digest, decided.get((*place, digest))))
    kept = tuple(offer for offer in made if offer.decided is None or offer.decided.state != SchemaFix.State.REJECTED)
    return Offers(place, waiting, kept, instead_of(cause, relation), settled(cause.signature, relation, snapshot, cause.own))


def _id(place: Place, digest: str) -> uuid.UUID:
    return uuid.uuid5(_IDS, "\n".join((*place, digest)))


def _among(places: Iterable[Place]) -> Q:
    return Q(*(Q(schema=s, table=t, signature=g) for s, t, g in places), _connector=Q.OR)


def _waiting(places: list[Place]) -> dict[Place, Waiting]:
    if not places:
        return {}
    items = QuarantineItem.objects.filter(_among(places), state__in=OPEN).values("schema", "table", "signature").order_by()
    counted = items.annotate(writes=Count("pk"), rows=Sum("row_count"), callers=Count("key", distinct=True))
    return {(c["schema"], c["table"], c["signature"]): Waiting(c["writes"], c["rows"] or 0, max(1, c["callers"])) for c in counted}


def _opened(schema: str, table: str) -> dict[str, tuple[Row, ...]]:
    """signature -> rows of what waits for the table, newest first, no more than ``MOST_ROWS`` in all."""
    found: dict[str, list[Row]] = {}
    left = MOST_ROWS
    for item in QuarantineItem.objects.filter(schema=schema, table=table, state__in=OPEN).order_by("-number")[:MOST_WRITES]:
        rows = sound_rows(item)[:left]
        found.setdefault(item.signature, []).extend(rows)
        left -= len(rows)
    return {signature: tuple(rows) for signature, rows in found.items()}


def _senders(relation: Relation | None) -> dict[str, int]:
    """key -> callers that sent it lately."""
    if relation is None:
        return {}
    found: dict[str, set[tuple[str | None, str]]] = {}
    for shape in traffic.recent_shapes(relation_oids=[relation.oid]):
        for key in shape.keys:
            found.setdefault(key, set()).add((shape.key, shape.role))
    return {key: len(callers) for key, callers in found.items()}


def _decided(places: list[Place]) -> dict[Any, SchemaFix]:
    rows = SchemaFix.objects.filter(_among(places)).select_related("decided_by") if places else ()
    return {(row.schema, row.table, row.signature, row.content_hash): row for row in rows}


def _likely(places: list[Place]) -> dict[Place, Proposal]:
    rows = Proposal.objects.filter(_among(places), state="open", probability__gte=0.5).order_by("probability") if places else ()
    return {(row.schema, row.table, row.signature): row for row in rows}


def _many(count: int, thing: str) -> str:
    return f"{count} {thing}{'' if count == 1 else 's'}"
