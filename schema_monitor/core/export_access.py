"""Policies and grants of an export, from the readable lines that a snapshot keeps of them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from schema_monitor.core.diff_access import grants
from schema_monitor.core.piece import Piece, named, quoted
from schema_monitor.core.snapshot import Relation

_POLICY = re.compile(r"(?P<name>.*?) (?P<how>PERMISSIVE|RESTRICTIVE) FOR (?P<what>[A-Z]+) TO (?P<rest>.*)", re.DOTALL)
_CLAUSE = re.compile(r"(?= USING \(| WITH CHECK \()|$")
PRIVILEGES = {
    "a": "INSERT",
    "r": "SELECT",
    "w": "UPDATE",
    "d": "DELETE",
    "D": "TRUNCATE",
    "x": "REFERENCES",
    "t": "TRIGGER",
    "m": "MAINTAIN",
}


def policy_pieces(relation: Relation) -> Iterator[Piece]:
    """``CREATE POLICY`` for each line."""
    for line in relation.policies:
        found = _POLICY.fullmatch(line)
        if found is None:
            yield Piece.told(f"policy of {relation.name}: {line}")
            continue
        end = m.start() if (m := _CLAUSE.search(found["rest"])) is not None else len(found["rest"])
        roles, clauses = found["rest"][:end].split(", "), found["rest"][end:]
        to = ", ".join("PUBLIC" if role == "public" else quoted(role) for role in roles)
        text = f"CREATE POLICY {quoted(found['name'])} ON {named(relation)} AS {found['how']} FOR {found['what']} TO {to}{clauses}"
        known = tuple(role for role in roles if role != "public")
        yield Piece(f"policy {found['name']} of {relation.schema}.{relation.name}", text, (relation.oid,), known)


def grant_pieces(relation: Relation) -> Iterator[Piece]:
    """``GRANT`` for each grantee and column, without what owners have anyway."""
    given: dict[tuple[str, str], set[str]] = {}
    for column, grantee, letter in grants(relation.acl):
        given.setdefault((grantee, column), set()).add(letter)
    for (grantee, column), letters in sorted(given.items()):
        on = f" ({quoted(column)})" if column else ""
        privileges = ", ".join(f"{PRIVILEGES[letter]}{on}" for letter in sorted(letters) if letter in PRIVILEGES)
        to = quoted(grantee) if grantee else "PUBLIC"
        text = f"GRANT {privileges} ON {named(relation)} TO {to}"
        what = f"grant to {grantee or 'public'} on {relation.schema}.{relation.name}"
        yield Piece(what, text, (relation.oid,), (grantee,) if grantee else ())
