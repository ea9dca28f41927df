"""Trials that this process granted on its own, while Valkey was away: kept until they are reported or their lease ends."""

from __future__ import annotations

import secrets
import time

from breakers.gateway.edge_report import Report
from breakers.permits import Permit, Trial

PREFIX = "here."


class Held:
    """By token."""

    def __init__(self) -> None:
        self._trials: dict[str, tuple[Trial, float]] = {}

    def keep(self, permit: Permit, lease: float) -> str | None:
        """A token for a trial; None for a permit that needs none."""
        now = time.monotonic()
        for token in [token for token, (_, end) in self._trials.items() if end <= now]:
            del self._trials[token]
        if not isinstance(permit, Trial):
            return None
        token = PREFIX + secrets.token_urlsafe(12)
        self._trials[token] = (permit, now + lease)
        return token

    def has(self, token: str) -> bool:
        """Whether a trial is under way."""
        return token in self._trials and self._trials[token][1] > time.monotonic()

    def settle(self, report: Report) -> bool:
        """A trial's end; False where it has ended already."""
        trial, _ = self._trials.pop(report.token, (None, 0.0))
        if trial is not None:
            trial.settle(report.outcome, report.seconds, report.error or None)
        return trial is not None
