"""One statement of an export, and how names and texts are written in SQL."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct


class Piece(Struct, frozen=True):
    """``what`` it makes, for people. ``relations`` (oids) it belongs to, ``roles`` that must exist. A comment has no SQL that runs."""

    what: str
    sql: str
    relations: tuple[int, ...] = ()
    roles: tuple[str, ...] = ()
    matters: bool = True
    """whether anybody needs to know where it cannot be made."""

    @classmethod
    def told(cls, text: str) -> Piece:
        """Something that can only be mentioned."""
        return cls(text, "")

    @property
    def script(self) -> str:
        """As it stands in a file."""
        if self.sql:
            return f"{self.sql};"
        return "\n".join(f"-- {line}" for line in self.what.splitlines())


class Named(Protocol):
    """Anything with a schema and a name."""

    @property
    def schema(self) -> str: ...
    @property
    def name(self) -> str: ...


def quoted(name: str) -> str:
    """An identifier."""
    return '"' + name.replace('"', '""') + '"'


def named(thing: Named) -> str:
    """Schema and name."""
    return f"{quoted(thing.schema)}.{quoted(thing.name)}"


def literal(text: str) -> str:
    """A text, safe whatever ``standard_conforming_strings`` is."""
    body = text.replace("'", "''")
    return f"E'{body.replace(chr(92), chr(92) * 2)}'" if "\\" in text else f"'{body}'"
