"""Which metrics a number is made of: asked of the number itself, so that no list of them can be wrong.

>>> made_of(NUMBERS[0])
('mendgate_writes_total', 'mendgate_replays_total')
"""

from __future__ import annotations

from metrics.core.figures import Figures
from metrics.core.sketch import Sketch
from metrics.core.summary import NUMBERS, Number


class _Listening(Figures):
    """Notes what it is asked for; has counted nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, None] = {}

    def total(self, name: str, **labels: str | tuple[str, ...]) -> float:
        self.names[name] = None
        return 0.0

    def by(self, name: str, *of: str, **labels: str | tuple[str, ...]) -> dict[tuple[str, ...], float]:
        self.names[name] = None
        return {}

    def sketch(self, name: str, **labels: str | tuple[str, ...]) -> Sketch:
        self.names[name] = None
        return Sketch()


def made_of(number: Number) -> tuple[str, ...]:
    """The metrics that the number asks for."""
    listening = _Listening()
    number.of(listening)
    return tuple(listening.names)


ALL = tuple(dict.fromkeys(name for number in NUMBERS for name in made_of(number)))
"""What all numbers are made of."""
