"""The closed fix language: one frozen struct per op, a tagged union on ``op``.

``{"op": "rename_column", "from": "a", "to": "b"}`` is exactly how an op looks as JSON; ``from`` and ``to`` are ``source`` and
``target`` in Python.
"""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType, field

from healing.core import formats
from healing.core.types import Json


class FixError(ValueError):
    """A fix is malformed, or cannot be applied; the text says what is wrong."""


class Op(Struct, frozen=True, tag_field="op", forbid_unknown_fields=True, omit_defaults=True):
    """What all ops share: their tag, no unknown fields, and a hash even where a value in them is a list or an object."""

    def __hash__(self) -> int:
        return hash((type(self), *(name for field in self.__struct_fields__ if isinstance(name := getattr(self, field), str))))


class RenameColumn(Op, frozen=True, tag="rename_column"):
    """The value of key ``source`` belongs into column ``target``."""

    source: str = field(name="from")
    target: str = field(name="to")

    def __post_init__(self) -> None:
        _named(self.source, self.target)
        if self.source == self.target:
            raise FixError(f"rename_column: from and to are both {self.source!r}")


class RenameTable(Op, frozen=True, tag="rename_table"):
    """What was sent to table ``source`` belongs into ``target``, in the same schema."""

    source: str = field(name="from")
    target: str = field(name="to")

    def __post_init__(self) -> None:
        _named(self.source, self.target)
        if self.source == self.target:
            raise FixError(f"rename_table: from and to are both {self.source!r}")


class Cast(Op, frozen=True, tag="cast"):
    """Read the value as ``target`` (a SQL type), in the named format; '' is the exact format of that type."""

    column: str
    target: str = field(name="to")
    format: str = ""

    def __post_init__(self) -> None:
        _named(self.column, self.target)
        if self.format and self.format not in formats.FORMATS:
            raise FixError(f"cast: there is no format {self.format!r}; there are {', '.join(formats.FORMATS)}")
        if not self.format and formats.default(self.target) is None:
            raise FixError(f"cast: {self.target} has no exact format, name one of {', '.join(formats.FORMATS)}")

    @property
    def reading(self) -> str:
        """The name of the format that is used."""
        return self.format or formats.default(self.target) or ""


class MapValue(Op, frozen=True, tag="map_value"):
    """Where ``column`` holds exactly ``source``, write ``target`` instead."""

    column: str
    source: Json = field(name="from")
    target: Json = field(name="to")

    def __post_init__(self) -> None:
        _named(self.column)


class Fill(Op, frozen=True, tag="fill"):
    """Where ``column`` is missing or null: a constant, a copy of another key of the row, or a claim of the caller. Exactly one of them."""

    column: str
    value: Json | UnsetType = UNSET
    from_key: str | None = None
    claim: str | None = None

    def __post_init__(self) -> None:
        _named(self.column)
        if (self.value is not UNSET) + (self.from_key is not None) + (self.claim is not None) != 1:
            raise FixError("fill: give exactly one of value, from_key, claim")
        if self.value is None:
            raise FixError("fill: null fills nothing")


class UseDefault(Op, frozen=True, tag="use_default"):
    """Where ``column`` is null, leave the key out, so that the column's default applies."""

    column: str

    def __post_init__(self) -> None:
        _named(self.column)


class DropKey(Op, frozen=True, tag="drop_key"):
    """Leave the key out, whatever its value is."""

    column: str

    def __post_init__(self) -> None:
        _named(self.column)


class Truncate(Op, frozen=True, tag="truncate"):
    """Keep the first ``n`` characters."""

    column: str
    n: int

    def __post_init__(self) -> None:
        _named(self.column)
        if self.n < 0:
            raise FixError("truncate: n is negative")


class Rescue(Op, frozen=True, tag="rescue"):
    """Move the key and its value into the object of the jsonb column ``into``."""

    column: str
    into: str

    def __post_init__(self) -> None:
        _named(self.column, self.into)
        if self.column == self.into:
            raise FixError(f"rescue: {self.column!r} cannot move into itself")


class SplitBatch(Op, frozen=True, tag="split_batch"):
    """Write rows with different keys as one statement per set of keys, in one transaction."""


class KeepName(Op, frozen=True, tag="keep_name"):
    """The reused name really means the column that has it now."""

    column: str

    def __post_init__(self) -> None:
        _named(self.column)


Fix = RenameColumn | RenameTable | Cast | MapValue | Fill | UseDefault | DropKey | Truncate | Rescue | SplitBatch | KeepName


def _named(*names: str) -> None:
    """Every name says something."""
    if not all(names):
        raise FixError("a name is empty")
