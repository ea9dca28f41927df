"""After ``SECRET_KEY`` changed: what is sealed with which secret, and sealing everything with the new one, so that the old one can go.

Nobody is interrupted: an old secret opens what it sealed as long as it is among the fallbacks, and each blob is replaced on its own.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from typing import Any

from django.db import connection, models, transaction
from msgspec import Struct
from psycopg import sql

from breakers.models import AiCredential
from healing.gateway import seal
from healing.models import QuarantineItem, Receipt
from healing.target import target_connection
from healing.transaction_models import TransactionLog
from schema_monitor.alerts.models import SchemaSubscription

log = logging.getLogger(__name__)
SEALED: tuple[tuple[type[models.Model], str], ...] = (
    (QuarantineItem, "request"),
    (QuarantineItem, "claims"),
    (Receipt, "sealed"),
    (TransactionLog, "sealed"),
    (SchemaSubscription, "address"),
    (SchemaSubscription, "secrets"),
    (AiCredential, "secret"),
)
"""Every column of the control database that holds sealed bytes."""
BATCH = 500
_KEYS = "SELECT substring({column} FROM 2 FOR 4), count(*) FROM {table} WHERE {column} IS NOT NULL GROUP BY 1"
_OLD = """SELECT {key}, {column} FROM {table} WHERE {column} IS NOT NULL AND {key} > %s AND substring({column} FROM 2 FOR 4) = ANY(%s)
ORDER BY {key} LIMIT %s FOR UPDATE SKIP LOCKED"""
_NEW = "UPDATE {table} SET {column} = %s WHERE {key} = %s"


class Held(Struct, frozen=True):
    """Blobs of one place: under the current secret, under one that only opens, and under none that is configured."""

    place: str
    current: int
    older: int
    closed: int


def held() -> Iterator[Held]:
    """Every place of the control database. Reads all of it: minutes where there are millions of receipts."""
    for model, column in SEALED:
        with connection.cursor() as cursor:
            cursor.execute(_said(_KEYS, model, column).as_string(connection.connection))
            yield _sorted(f"{model._meta.verbose_name}, {column}", cursor.fetchall())


def in_target() -> Held:
    """The receipts that still lie in the target."""
    with target_connection() as target:
        if target.execute("SELECT to_regclass('mendgate.receipts')").fetchone() == (None,):
            return _sorted("receipts in the target (it has no schema mendgate)", [])
        found = target.execute("SELECT substring(sealed FROM 2 FOR 4), count(*) FROM mendgate.receipts GROUP BY 1").fetchall()
    return _sorted("receipts in the target (they move here within a minute)", found)


def reseal(batch: int = BATCH) -> int:
    """Seal under the current secret what an older one sealed; how many blobs that was. What no secret opens is left as it is."""
    return sum(_reseal(model, column, batch) for model, column in SEALED)


def _reseal(model: type[models.Model], column: str, batch: int) -> int:
    older = [bytes(key) for key in seal.key_ids()[1:]]
    done, last = 0, None
    while older:
        with transaction.atomic(), connection.cursor() as cursor:
            rows = _next(cursor, model, column, older, last, batch)
            for key, blob in rows:
                done += _resealed(cursor, model, column, key, blob)
        if len(rows) < batch:
            break
        last = rows[-1][0]
    return done


def _resealed(cursor: Any, model: type[models.Model], column: str, key: Any, blob: Any) -> bool:
    """False for a damaged one: it is left as it is, and is in nobody's way."""
    try:
        plain = seal.unseal(blob)
    except seal.SealError as error:
        log.error("%s %s, %s: %s", model._meta.verbose_name, key, column, error)
        return False
    cursor.execute(_said(_NEW, model, column).as_string(connection.connection), [seal.seal(plain), key])
    return True


def _next(cursor: Any, model: type[models.Model], column: str, older: list[bytes], last: Any, batch: int) -> list[tuple[Any, Any]]:
    statement = _said(_OLD.replace("AND {key} > %s ", "" if last is None else "AND {key} > %s "), model, column)
    cursor.execute(statement.as_string(connection.connection), [*([] if last is None else [last]), older, batch])
    return [(key, blob) for key, blob in cursor.fetchall()]


def _said(statement: str, model: type[models.Model], column: str) -> sql.Composed:
    names = {"table": model._meta.db_table, "column": column, "key": str(model._meta.pk.column)}
    return sql.SQL(statement).format(**{name: sql.Identifier(value) for name, value in names.items() if f"{{{name}}}" in statement})


def _sorted(place: str, found: list[tuple[Any, int]]) -> Held:
    first, *rest = seal.key_ids()
    counts = Counter({bytes(key): count for key, count in found})
    older = sum(counts[key] for key in rest)
    return Held(place, counts[first], older, counts.total() - counts[first] - older)
