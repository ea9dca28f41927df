"""A column with an optional path into its JSON: ``a``, ``a->b->>c``, ``a->0``."""

from __future__ import annotations

import re

from msgspec import Struct

from healing.gateway.scan import Scanner

_INDEX = re.compile(r"-?[0-9]+(?=->|::|[.,)]|$)")
_LARGEST = 2**31 - 1


class Step(Struct, frozen=True):
    """One arrow. ``text`` is True for ``->>``; an int ``key`` is an index into an array."""

    key: str | int
    text: bool = False


class Field(Struct, frozen=True):
    """A column by the name that the caller uses, and the way into it."""

    name: str
    path: tuple[Step, ...] = ()

    @property
    def label(self) -> str:
        """The key in the answer: the last key of the path that is no index, else the column's name."""
        keys = [step.key for step in self.path if isinstance(step.key, str)]
        return keys[-1] if keys else self.name


def parse_path(scanner: Scanner) -> tuple[Step, ...]:
    """The arrows that come next, maybe none."""
    steps: list[Step] = []
    while True:
        if scanner.take("->>"):
            steps.append(Step(_operand(scanner), True))
        elif scanner.take("->"):
            steps.append(Step(_operand(scanner)))
        else:
            return tuple(steps)


def parse_field(scanner: Scanner) -> Field:
    """A field, blanks around it allowed."""
    scanner.blanks()
    field = Field(scanner.name(), parse_path(scanner))
    scanner.blanks()
    return field


def _operand(scanner: Scanner) -> str | int:
    found = scanner.match(_INDEX)
    if found is None:
        if scanner.sees("-"):
            raise scanner.error("digit")
        return scanner.key()
    index = int(found[0]) if len(found[0]) < 12 else _LARGEST + 1
    if abs(index) > _LARGEST:
        raise scanner.error("an index below 2147483648")
    return index
