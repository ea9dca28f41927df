"""What the numbers of a breaker may be: one table for forms, rows and messages."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from msgspec import Struct

from breakers.core import names

MOST_STEPS = 10


class Bound(Struct, frozen=True):
    """From ``low`` to ``high``, both allowed."""

    low: float
    high: float
    unit: str = ""

    @property
    def said(self) -> str:
        """The bound as a person reads it."""
        return f"{self.low:,g} to {self.high:,g}{' ' if self.unit else ''}{self.unit}"


BOUNDS = {
    "failure_threshold": Bound(1, 1_000_000, "failures"),
    "failure_rate": Bound(0, 1),
    "minimum_calls": Bound(1, 1_000_000, "calls"),
    "consecutive": Bound(0, 1_000_000, "failures in a row"),
    "slow_after": Bound(0, 86_400, "seconds"),
    "slow_rate": Bound(0.01, 1),
    "window": Bound(0.1, 3600, "seconds"),
    "window_calls": Bound(0, 100_000, "calls"),
    "timeout": Bound(0.01, 86_400, "seconds"),
    "timeout_cap": Bound(0.01, 86_400, "seconds"),
    "permits": Bound(1, 1000, "calls at a time"),
    "permit_seconds": Bound(0.05, 3600, "seconds"),
    "ramp_seconds": Bound(0, 3600, "seconds"),
}
"""Those of ``breakers.core.types.Settings``: whatever the code may ask for can be stored."""


def validators(field: str) -> list[MinValueValidator | MaxValueValidator]:
    """Both ends, each saying the whole range."""
    bound = BOUNDS[field]
    message = f"Enter {bound.said}."
    return [MinValueValidator(bound.low, message), MaxValueValidator(bound.high, message)]


def check_name(name: str) -> None:
    """A name is part of Valkey's keys and of URLs."""
    try:
        names.check(name)
    except ValueError as error:
        raise ValidationError(str(error)) from error


def check_ramp(ramp: object) -> None:
    """Shares of the traffic, growing, each between 0 and 1; an empty list means no ramp."""
    steps = ramp if isinstance(ramp, list | tuple) else None
    if steps is None or not all(isinstance(step, int | float) and not isinstance(step, bool) and 0 < step < 1 for step in steps):
        raise ValidationError("Each step of the ramp is a share between 0 and 1, like 0.1, 0.25, 0.5.")
    if list(steps) != sorted(set(steps)) or len(steps) > MOST_STEPS:
        raise ValidationError(f"The steps of the ramp must grow, and be at most {MOST_STEPS}.")
