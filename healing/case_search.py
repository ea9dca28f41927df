"""What a person types to find a case: an id, a table, a caller, or the value of a key.

Everything is looked up by an index, whatever the number of cases: no payload is opened, but for the newest ``MOST_OPENED`` that the
sweep has not marked yet (``case_marks``).
"""

from __future__ import annotations

from uuid import UUID

import psycopg
from django.conf import settings
from django.db.models import Q, QuerySet

from healing.case_marks import MOST_OPENED, holding, unmarked, wanted
from healing.models import ApiKey, QuarantineItem, Receipt
from healing.receipts_view import find_receipt
from healing.refusals import NotFound

MOST_WORDS = 12
"""Each is looked for by itself, in what was opened, too."""


def by_id(text: str) -> UUID | None:
    """The receipt of a receipt's or a quarantine item's id, wherever it is; None where the text is no such id."""
    try:
        wanted_id = UUID(text.strip())
    except ValueError:
        return None
    item = QuarantineItem.objects.filter(pk=wanted_id).only("receipt").first()
    if item is not None:
        return item.receipt
    try:
        return find_receipt(wanted_id).pk
    except (NotFound, psycopg.OperationalError):  # the target may be away: what was moved here is found all the same
        return None


def found(cases: QuerySet[Receipt], text: str) -> QuerySet[Receipt]:
    """The cases of that table (``orders`` or ``public.orders``), of that caller (a key's name or the user's id), or with a key of that
    value. Several words: each must be found, or all together are a key's value (many words: only that)."""
    fresh = list(unmarked()[:MOST_OPENED])
    words, asked = text.split(), Q()
    if len(words) > MOST_WORDS:
        return cases.filter(_valued(text, fresh))
    for word in words:
        asked &= _place(word) | _caller(word) | _valued(word, fresh)
    return cases.filter(asked | _valued(text, fresh) if " " in text.strip() else asked)


def _place(word: str) -> Q:
    schema, dot, table = word.rpartition(".")
    return Q(schema=schema, table=table) if dot else Q(schema__in=settings.MENDGATE.exposed_schemas, table=word)


def _caller(word: str) -> Q:
    keys = ApiKey.objects.filter(Q(name__icontains=word) | Q(prefix=word)).values_list("pk", flat=True)
    return Q(subject=word) | Q(key__in=list(keys))


def _valued(text: str, fresh: list[Receipt]) -> Q:
    marked = Q(marks__overlap=wanted(text))
    return marked | Q(pk__in=list(holding(text, fresh))) if fresh else marked
