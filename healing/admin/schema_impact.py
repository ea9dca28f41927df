"""The impact check: what a piece of DDL would do to the callers of the last days, before anybody runs it."""

from __future__ import annotations

import psycopg
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from healing.admin.schema_pages import page, viewing
from healing.impact import CHECK, check
from healing.refusals import Refused
from healing.schema_facts.impact import WORDS, Outcome, outcome
from schema_monitor.impact.limits import LIMITS

EXAMPLE = "ALTER TABLE orders RENAME COLUMN total TO amount;"


@viewing
def impact(request: HttpRequest) -> HttpResponse:
    """The form; by POST also what came out. Nothing is changed by either, so the answer is shown at once."""
    may_check = request.user.has_perm(CHECK)
    ddl, found, fault = request.POST.get("ddl", "").replace("\r\n", "\n"), None, None
    if request.method == "POST":
        if not may_check:
            raise PermissionDenied
        try:
            found = tried(ddl, request.user.get_username())
        except Refused as error:
            fault = error
    return page(
        request, "impact", "Impact check", ddl=ddl, found=found, fault=fault, may_check=may_check, words=WORDS.values(), example=EXAMPLE,
        most=LIMITS.most_characters,
    )  # fmt: skip


def tried(ddl: str, by: str) -> Outcome:
    """What the DDL would do. Raises ``Refused`` with the way out."""
    if not ddl.strip():
        raise Refused("There is nothing to try.", "Paste the DDL of a migration.")
    try:
        return outcome(check(ddl, by), ddl)
    except psycopg.OperationalError as error:
        raise Refused(f"A database did not answer: {str(error).strip().splitlines()[0]}", "See the Monitor page.") from error
