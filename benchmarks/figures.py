"""One line for each figure that a benchmark stands for, so that ``python -m benchmarks`` can put them all in one table."""

from __future__ import annotations

from msgspec import Struct

MARK = "figure"


class Figure(Struct, frozen=True):
    """What was measured, beside what it should be."""

    name: str
    value: str
    aim: str
    reached: bool

    def __str__(self) -> str:
        return f"{self.name:52}{self.value:>14}{self.aim:>12}  {'yes' if self.reached else 'no'}"


def figure(name: str, value: str, aim: str, reached: bool) -> None:
    """Prints it, for people and for ``parsed``."""
    print(f"{MARK} | {name} | {value} | {aim} | {'yes' if reached else 'no'}", flush=True)


def parsed(line: str) -> Figure | None:
    """The figure that a line of output holds."""
    parts = [part.strip() for part in line.split(" | ")]
    if len(parts) != 5 or parts[0] != MARK:
        return None
    return Figure(parts[1], parts[2], parts[3], parts[4] == "yes")
