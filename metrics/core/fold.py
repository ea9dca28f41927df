"""Sums over all tables and callers, kept beside the series themselves: a picture of a month must not read two hundred tables times
fifty callers.

>>> folded(("mendgate_reads_total", "public.a", "yes", "shop"))
('all:mendgate_reads_total', '', 'yes', '')
>>> folded(("mendgate_jobs_total", "sweep", "yes")) is None
True
"""

from __future__ import annotations

from metrics.core.count import Series
from metrics.core.names import METRICS

ALL = "all:"
WIDE = ("table", "caller")
"""Labels that there are many values of."""


def folded(series: Series) -> Series | None:
    """The series that this one is added to as well, its table and caller left empty; None where it has neither."""
    labels = METRICS[series[0]].labels
    if not any(label in WIDE for label in labels):
        return None
    return (ALL + series[0], *("" if label in WIDE else value for label, value in zip(labels, series[1:], strict=True)))


def stored(name: str) -> str:
    """The name that a metric's sums over all tables and callers are stored under: its own, where it has neither label."""
    return ALL + name if any(label in WIDE for label in METRICS[name].labels) else name
