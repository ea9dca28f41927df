"""Whether a subscription wants to know of a change."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol

from schema_monitor.core.severity import LEVELS


class Filter(Protocol):
    """The least severity, and lists of patterns where ``*`` stands for anything; an empty list wants everything."""

    minimum: str
    schemas: Sequence[str]
    tables: Sequence[str]
    kinds: Sequence[str]


class Told(Protocol):
    """What of a change, or of a notice, decides."""

    @property
    def severity(self) -> str:
        """One of ``LEVELS``."""

    @property
    def schema(self) -> str:
        """Where it is; '' for nowhere."""

    @property
    def relation(self) -> str:
        """Which; '' for none."""

    @property
    def kind(self) -> str:
        """What it is."""


def wants(subscription: Filter, change: Told) -> bool:
    """Severe enough, and in every list."""
    return (
        LEVELS.index(change.severity) >= LEVELS.index(subscription.minimum)
        and _among(change.schema, subscription.schemas)
        and _among(change.relation, subscription.tables)
        and _among(change.kind, subscription.kinds)
    )


def _among(name: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(_pattern(each).fullmatch(name) for each in patterns)


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in text.split("*")), re.DOTALL)
