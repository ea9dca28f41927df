"""How much an impact check may take."""

from __future__ import annotations

from msgspec import Struct


class Limits(Struct, frozen=True):
    """Seconds and bytes."""

    most_characters: int = 64_000
    """of the DDL"""
    most_statements: int = 200
    statement_seconds: float = 5.0
    seconds: float = 30.0
    """for all of it: making the copy, running the DDL, reading the catalog"""
    most_bytes: int = 256_000_000
    """of the scratch database"""
    most_memory: int = 1_000_000_000
    """of the process that tries it out, address space"""
    wait: float = 10.0
    """for another check to end"""
    most_relations: int = 1_000
    """of the copy; of larger schemas only what the DDL names is copied, with what hangs together with it"""


LIMITS = Limits()
