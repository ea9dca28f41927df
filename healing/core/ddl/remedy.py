"""A change of the schema that would let writes land, as a value."""

from __future__ import annotations

from functools import cached_property

from msgspec import Struct

from healing.core.types import Json


class Remedy(Struct, frozen=True):
    """What one kind of misfit asks for. ``settles`` are the signatures that it answers; ``columns`` what is added or changed, for programs
    (``{"name", "type", "nullable", "default"}``)."""

    kind: str
    settles: tuple[str, ...]
    statements: tuple[str, ...]
    says: str
    slug: str
    for_: tuple[str, ...] = ()
    against: tuple[str, ...] = ()
    columns: tuple[dict[str, Json], ...] = ()


class SchemaProposal(Struct, frozen=True, dict=True):
    """One migration. ``statements`` run in order, each in a transaction of its own; ``leaves`` are misfits that it does not settle."""

    kind: str
    statements: tuple[str, ...]
    sentence: str
    slug: str
    settles: tuple[str, ...]
    leaves: tuple[str, ...]
    evidence: dict[str, Json]

    @cached_property
    def sql(self) -> str:
        """All of it."""
        return "\n".join(f"{statement};" for statement in self.statements)


KINDS = ("add_column", "add_label", "allow_value", "widen_type", "change_type", "drop_not_null", "create_table", "several")
