"""What the numbers of a breaker may be: one table for forms, rows and messages."""

from __future__ import annotations

import re

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from msgspec import Struct

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,199}", re.ASCII)
MOST_STEPS = 10


class Bound(Struct, frozen=True):
    """From ``low`` to ``high``, both allowed."""

    low: float
    high: float
    unit: str = ""

    @property
    def said(self) -> str:
        """The bound as a person reads it."""
        return f"{self.low:g} to {self.high:g}{' ' if self.unit else ''}{self.unit}"


BOUNDS = {
    "failure_threshold": Bound(1, 100_000, "failures"),
    "failure_rate": Bound(0.01, 1),
    "minimum_calls": Bound(1, 100_000, "calls"),
    "consecutive": Bound(0, 1000, "failures in a row"),
    "slow_after": Bound(0.001, 600, "seconds"),
    "slow_rate": Bound(0.01, 1),
    "window": Bound(1, 3600, "seconds"),
    "window_calls": Bound(0, 1000, "calls"),
    "timeout": Bound(0.1, 86_400, "seconds"),
    "timeout_cap": Bound(0.1, 86_400, "seconds"),
    "permits": Bound(1, 100, "calls at a time"),
    "permit_seconds": Bound(0.1, 3600, "seconds"),
    "ramp_seconds": Bound(0.1, 3600, "seconds"),
}


def validators(field: str) -> list[MinValueValidator | MaxValueValidator]:
    """Both ends, each saying the whole range."""
    bound = BOUNDS[field]
    message = f"Enter {bound.said}."
    return [MinValueValidator(bound.low, message), MaxValueValidator(bound.high, message)]


def check_name(name: str) -> None:
    """A name is part of Valkey's keys and of URLs."""
    if not NAME.fullmatch(name):
        raise ValidationError("Use letters, digits and . _ : / @ - only, at most 200, beginning with a letter or digit.")


def check_ramp(ramp: object) -> None:
    """Shares of the traffic, growing, each between 0 and 1; an empty list means no ramp."""
    steps = ramp if isinstance(ramp, list | tuple) else None
    if steps is None or not all(isinstance(step, int | float) and not isinstance(step, bool) and 0 < step < 1 for step in steps):
        raise ValidationError("Each step of the ramp is a share between 0 and 1, like 0.1, 0.25, 0.5.")
    if list(steps) != sorted(set(steps)) or len(steps) > MOST_STEPS:
        raise ValidationError(f"The steps of the ramp must grow, and be at most {MOST_STEPS}.")
