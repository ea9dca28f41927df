"""Whether what a game day's row says is what this installation signed. The lists ask it of many rows, and reports are large: what was once
found of a text is remembered by the text's hash, which the database counts over the very text that it would hand out."""

from __future__ import annotations

import json
from functools import lru_cache

from django.db.models import CharField, Func, QuerySet
from django.db.models.functions import Length
from msgspec import Struct

from healing.models import GameDay
from resilience_site.config import config
from resilience_site.gameday import signing

UNSIGNED = "Nobody signed this verdict."


class _Digest(Func):
    """SHA-256 of a text. (Django's own wants an extension on Postgres.)"""

    template = "encode(sha256(convert_to(%(expressions)s, 'UTF8')), 'hex')"
    output_field = CharField()


class Told(Struct, frozen=True):
    """What a signed report is good for. ``doubt``: why it is not to be believed, '' where it is. ``said``: of whom, and how it went."""

    doubt: str
    said: tuple[object, ...] = ()

    def doubt_of(self, row: GameDay) -> str:
        """Why the row is not to be believed; '' where it is what the report says."""
        if self.doubt or self.said[:1] != (str(row.pk),):
            return self.doubt or "This is the report of another game day."
        if self.said[1:] != (row.verdict, row.requests, row.unexplained):
            return "The row was changed: its signed report says otherwise."
        return ""


def told(text: str) -> Told:
    """What a signed report, as text, is good for."""
    site = config()
    doubt = signing.fault_of(text, {signing.public_key(each) for each in (site.secret_key, *site.secret_key_fallbacks)})
    if doubt:
        return Told(doubt)
    report = json.loads(text)["report"]
    return Told("", tuple(report.get(name) for name in ("id", "verdict", "requests_sent", "unexplained")))


def doubt_of(row: GameDay) -> str:
    """Why a finished one's verdict is not to be believed, in a sentence; '' where it is."""
    return told(row.signed).doubt_of(row) if row.signed else UNSIGNED


def hashed(rows: QuerySet[GameDay]) -> QuerySet[GameDay]:
    """The rows with what ``doubt_in_list`` needs, without their reports."""
    return rows.defer("signed", "progress").annotate(length=Length("signed"), digest=_Digest("signed"))


def doubt_in_list(row: GameDay) -> str:
    """``doubt_of`` for a row of ``hashed``: the report is read only where its text was not seen yet."""
    if not row.length:  # type: ignore[attr-defined]
        return UNSIGNED
    site = config()
    return _remembered(str(row.pk), row.digest, (site.secret_key, *site.secret_key_fallbacks)).doubt_of(row)  # type: ignore[attr-defined]


@lru_cache(maxsize=500)
def _remembered(pk: str, digest: str, secrets: tuple[str, ...]) -> Told:
    return told(GameDay.objects.values_list("signed", flat=True).get(pk=pk))
