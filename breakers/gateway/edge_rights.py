"""Who may do what at ``/api/v1/breakers``, whose breakers a caller may not touch, and what counts as one source of reports."""

from __future__ import annotations

import hashlib
from typing import Protocol

from breakers.gateway.edge_errors import bad_input, forbidden

SCOPES = frozenset({"api", "breakers"})
OURS = ("ai:", "webhooks:", "alerts:", "upstream:")
OUR_OWN = frozenset({"ai-gateway", "healing-ai", "target-database"})
"""Breakers that this gateway guards its own calls with. Everyone reads them; only we report to them."""
PATHS = frozenset({"events", "report"})
"""Names that mean something else in a path."""
LONGEST_NAME = 100
LONGEST_ISOLATE = 200
SOURCES_PER_KEY = 16
"""One key is at most this many sources, however many names it gives its isolates."""


class Caller(Protocol):
    """What is asked of a verified caller (``healing.gateway.auth.Caller`` is one)."""

    @property
    def key(self) -> str | None: ...
    @property
    def role(self) -> str: ...
    @property
    def subject(self) -> str: ...
    @property
    def scopes(self) -> tuple[str, ...]: ...


def may_read(caller: Caller) -> None:
    """Raises ``EdgeError`` 403 unless the caller may look at breakers: any role but anon, or an explicit scope."""
    if SCOPES.isdisjoint(caller.scopes) and (caller.scopes or caller.role == "anon"):
        raise forbidden("This key may not read breakers", "Use a key of another role than anon, or give it the scope breakers.")


def may_report(caller: Caller) -> None:
    """Raises ``EdgeError`` 403 unless the caller may ask for permits and report: service_role, or an explicit scope."""
    if SCOPES.isdisjoint(caller.scopes) and (caller.scopes or caller.role != "service_role"):
        raise forbidden(
            "This key may not acquire permits or report", "Use a service_role key, or give this one the scope breakers (or api)."
        )


def checked_name(name: str) -> str:
    """A breaker's name as callers may choose one. Raises ``EdgeError``."""
    if not 0 < len(name) <= LONGEST_NAME or not name.isascii() or not all(c.isalnum() or c in "._:-" for c in name):
        raise bad_input("This is no name of a breaker", f"Letters, digits and . _ : - only, at most {LONGEST_NAME} of them.")
    if name in PATHS:
        raise bad_input(f"{name} cannot be the name of a breaker", "It is part of the API's own paths.")
    return name


def not_ours(name: str) -> None:
    """Raises ``EdgeError`` 403 where a breaker guards our own calls."""
    if name in OUR_OWN or name.startswith(OURS):
        raise forbidden(f"{name} guards calls of the gateway itself", "Read it as you like; report to a breaker of your own name.")


def source(caller: Caller, isolate: str) -> str:
    """Where reports come from: the key and one of a few places that the caller's isolate falls into. Raises ``EdgeError``."""
    if len(isolate) > LONGEST_ISOLATE:
        raise bad_input("The isolate's id is too long", f"At most {LONGEST_ISOLATE} letters.")
    place = hashlib.sha256(isolate.encode()).digest()[0] % SOURCES_PER_KEY if isolate else 0
    return f"edge:{owner(caller)}:{place}"


def owner(caller: Caller) -> str:
    """Whom breakers made by this caller are counted for."""
    return caller.key or hashlib.sha256(f"{caller.role}:{caller.subject}".encode()).hexdigest()[:16]
