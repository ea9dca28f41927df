"""What does not fit most often: kept writes by their cause, healed ones by the fix that mended them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
from django.db import connection
from django.db.models import Count, Q
from django.urls import reverse
from django.utils.http import urlencode
from msgspec import Struct

from healing.checked_fix import parsed, sentence
from healing.core.signature import read, split
from healing.dashboard.asked import Asked
from healing.models import QuarantineItem
from healing.refusals import Refused

MOST = 12
RECEIPTS = 20_000
"""The newest receipts that are looked at: more would keep a person waiting."""
_HEALED = """SELECT r.schema || '.' || r.table, (f - '{source,rule,rows,assist}'::text[])::text, f ->> 'source',
        count(*), count(DISTINCT coalesce(r.key::text, r.role))
    FROM (SELECT schema, "table", fixes, key, role FROM healing_receipt WHERE at >= %s AND outcome = 'committed' AND fixes <> '[]'
        AND (%s = '' OR schema || '.' || "table" = %s) AND (%s = '' OR coalesce(key::text, role) = %s) ORDER BY at DESC LIMIT %s) r,
        LATERAL jsonb_array_elements(r.fixes) f
    GROUP BY 1, 2, 3 ORDER BY 4 DESC, 1, 2 LIMIT %s"""


class Misfit(Struct, frozen=True):
    """``place`` is the table with the key that did not fit, ``what`` happened, ``count`` writes of ``callers``; ``state`` its word."""

    place: str
    what: str
    state: str
    colour: str
    count: int
    callers: int
    link: str


def top(asked: Asked) -> list[Misfit]:
    """The most frequent first."""
    return sorted([*_kept(asked), *_healed(asked)], key=lambda each: (-each.count, each.place))[:MOST]


def _kept(asked: Asked) -> list[Misfit]:
    items = QuarantineItem.objects.filter(created_at__gte=asked.since)
    if asked.table:
        schema, _, table = asked.table.partition(".")
        items = items.filter(schema=schema, table=table)
    if asked.caller:
        items = items.filter(_by(asked.caller))
    waits = Count("pk", filter=Q(state__in=("waiting", "parked", "conflict")))
    groups = items.values("schema", "table", "signature").annotate(n=Count("pk"), callers=Count("key", distinct=True), waits=waits)
    return [_kept_misfit(group) for group in groups.order_by("-n", "table", "signature")[:MOST]]


def _kept_misfit(group: Mapping[str, Any]) -> Misfit:
    first, *others = split(group["signature"]) or ("",)
    (kind, key), several = read(first), len(others)
    what = kind.replace("_", " ") + (f" and {several} more" if several else "")
    state, colour = (f"{group['waits']:,} wait", "warning") if group["waits"] else ("settled", "success")
    link = reverse("admin:healing_quarantineitem_changelist") + "?" + urlencode({"q": group["signature"]})
    return Misfit(_place(f"{group['schema']}.{group['table']}", key), what, state, colour, group["n"], max(1, group["callers"]), link)


def _healed(asked: Asked) -> list[Misfit]:
    values: list[Any] = [asked.since, asked.table, asked.table, asked.caller, asked.caller, RECEIPTS, MOST]
    with connection.cursor() as cursor:
        cursor.execute(_HEALED, values)
        rows = cursor.fetchall()
    link = reverse("admin:healing_receipt_changelist") + "?outcome=committed"
    return [
        Misfit(_place(table, _key(fix)), _said(fix), f"healed by {source or 'lineage'}", "success", n, callers, link)
        for table, text, source, n, callers in rows
        for fix in (msgspec.json.decode(text),)
    ]


def _said(fix: dict[str, Any]) -> str:
    try:
        return sentence(parsed([fix]))
    except Refused:
        return str(fix.get("op", "mended")).replace("_", " ")


def _key(fix: dict[str, Any]) -> str:
    return next((str(fix[name]) for name in ("from", "column") if name in fix), "")


def _place(table: str, key: str) -> str:
    return f"{table}.{key}" if key else table


def _by(caller: str) -> Q:
    """A caller is a key's id, or where there is none the role."""
    try:
        return Q(key=msgspec.convert(caller, UUID))
    except msgspec.ValidationError:
        return Q(key=None, role=caller)
