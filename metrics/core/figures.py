"""What was counted in a stretch of time, and questions about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from metrics.core.count import Series
from metrics.core.names import METRICS
from metrics.core.sketch import Sketch


class Figures:
    """Counters and sketches of one stretch of time. Labels are asked for by name; one or several values of each."""

    def __init__(self) -> None:
        self._counters: dict[str, dict[Series, float]] = {}
        self._sketches: dict[str, dict[Series, Sketch]] = {}

    def add(self, series: Series, amount: float) -> None:
        """Counts more of a counter."""
        known = self._counters.setdefault(series[0], {})
        known[series] = known.get(series, 0.0) + amount

    def merge(self, series: Series, sketch: Sketch) -> None:
        """Counts everything of a sketch."""
        self._sketches.setdefault(series[0], {}).setdefault(series, Sketch()).merge(sketch)

    def total(self, name: str, **labels: str | tuple[str, ...]) -> float:
        """The sum of a counter over all series that have these labels."""
        found = self._counters.get(name, {})
        return sum(found[series] for series in _matching(name, found, labels))

    def by(self, name: str, *of: str, **labels: str | tuple[str, ...]) -> dict[tuple[str, ...], float]:
        """Sums of a counter by the values of some labels, the largest first."""
        found, places, sums = self._counters.get(name, {}), _places(name, of), dict[tuple[str, ...], float]()
        for series in _matching(name, found, labels):
            key = tuple(series[place] for place in places)
            sums[key] = sums.get(key, 0.0) + found[series]
        return dict(sorted(sums.items(), key=lambda item: (-item[1], item[0])))

    def sketch(self, name: str, **labels: str | tuple[str, ...]) -> Sketch:
        """All durations of a histogram over the series that have these labels."""
        found, whole = self._sketches.get(name, {}), Sketch()
        for series in _matching(name, found, labels):
            whole.merge(found[series])
        return whole

    def counters(self) -> Iterator[tuple[Series, float]]:
        """Every counter."""
        for found in self._counters.values():
            yield from found.items()

    def sketches(self) -> Iterator[tuple[Series, Sketch]]:
        """Every histogram."""
        for found in self._sketches.values():
            yield from found.items()


def _matching(name: str, found: Iterable[Series], labels: dict[str, str | tuple[str, ...]]) -> Iterator[Series]:
    wanted = [
        (place, value if isinstance(value, tuple) else (value,))
        for place, value in zip(_places(name, labels), labels.values(), strict=True)
    ]
    for series in found:
        if all(series[place] in allowed for place, allowed in wanted):
            yield series


def _places(name: str, labels: Iterable[str]) -> list[int]:
    known = METRICS[name].labels
    return [known.index(label) + 1 for label in labels]
