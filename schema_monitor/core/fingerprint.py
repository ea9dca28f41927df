"""Digests of catalog values over their canonical JSON (field order is fixed, lists are ordered by identity or name).

A relation's fingerprint is 64 hex digits in two parts: 48 over its shape (names, columns, constraints, indexes, triggers, what may
be written) and 16 over the rest (rights, policies, row security, plain indexes, comments, what writes
run beside). Either part changing makes another
relation; caches of what depends on the shape alone are keyed by ``Relation.shape``. Digests contain oids, so they compare within one
scope only.
"""

from __future__ import annotations

from hashlib import sha256

import msgspec
from msgspec.structs import replace

from schema_monitor.core.snapshot import Column, Relation, Snapshot

_encode = msgspec.json.Encoder().encode


def stamped(relation: Relation) -> Relation:
    """The relation with its fingerprint."""
    bare = replace(
        relation,
        columns=tuple(_without_comment(column) for column in relation.columns),
        row_security=False,
        force_row_security=False,
        policies=(),
        indexes=(),
        runs_also=(),
        acl="",
        comment=None,
        fingerprint="",
    )
    shape = sha256(_encode(bare)).hexdigest()
    return replace(relation, fingerprint=shape[:48] + sha256(_encode(_rest(relation))).hexdigest()[:16])


def snapshot_fingerprint(snapshot: Snapshot) -> str:
    """Digest of a whole snapshot whose relations are stamped. Minor server versions do not count."""
    relations = sorted((oid, relation.fingerprint) for oid, relation in snapshot.relations.items())
    enums = sorted(snapshot.enums.items())
    functions = sorted(snapshot.functions.items())
    major = snapshot.server_version // 10_000
    return sha256(_encode((snapshot.scope, major, snapshot.exposed, relations, enums, functions, snapshot.monitor))).hexdigest()


def _without_comment(column: Column) -> Column:
    return column if column.comment is None else replace(column, comment=None)


def _rest(relation: Relation) -> tuple[object, ...]:
    comments = [(column.attnum, column.comment) for column in relation.columns if column.comment is not None]
    indexes = [(index.name, index.definition) for index in relation.indexes]
    rest = (indexes, relation.acl, relation.row_security, relation.force_row_security, relation.policies, relation.comment, comments)
    return (*rest, relation.runs_also) if relation.runs_also else rest
