"""Filters of the quarantine's list whose choices are read from an index, a step a value: Django's own look at every write for them."""

from __future__ import annotations

from typing import Any

from django.contrib.admin import SimpleListFilter
from django.db import connection
from django.db.models import QuerySet
from django.http import HttpRequest

from healing.models import QuarantineItem

MOST = 500
"""choices of a filter"""
_TABLES = """
WITH RECURSIVE found AS (
    (SELECT schema, "table" FROM healing_quarantineitem ORDER BY schema, "table" LIMIT 1)
    UNION ALL
    SELECT next.schema, next."table" FROM found CROSS JOIN LATERAL (
        SELECT schema, "table" FROM healing_quarantineitem i WHERE (i.schema, i."table") > (found.schema, found."table")
        ORDER BY schema, "table" LIMIT 1
    ) next
)
SELECT DISTINCT "table" FROM (SELECT "table" FROM found LIMIT %s) named ORDER BY 1"""
_ROLES = """
WITH RECURSIVE found AS (
    (SELECT role FROM healing_quarantineitem ORDER BY role LIMIT 1)
    UNION ALL
    SELECT next.role FROM found CROSS JOIN LATERAL (
        SELECT role FROM healing_quarantineitem i WHERE i.role > found.role ORDER BY role LIMIT 1
    ) next
)
SELECT role FROM found LIMIT %s"""


def _values(sql: str) -> list[tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(sql, [MOST])
        return [(value, value) for (value,) in cursor.fetchall()]


class _Of(SimpleListFilter):
    """Writes whose ``parameter_name`` is the one that was chosen."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[QuarantineItem]) -> QuerySet[QuarantineItem]:
        """Those, or all."""
        return queryset.filter(**{str(self.parameter_name): self.value()}) if self.value() else queryset


class OfTable(_Of):
    """By table, whatever its schema."""

    title = "table"
    parameter_name = "table"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The tables that writes were kept for."""
        return _values(_TABLES)


class OfRole(_Of):
    """By the role of whoever sent it."""

    title = "role"
    parameter_name = "role"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """The roles that writes were kept of."""
        return _values(_ROLES)
