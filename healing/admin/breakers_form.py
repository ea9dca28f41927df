"""The form of a breaker: rates in percent, the ramp as a line of percents, a reason for the record."""

from __future__ import annotations

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminTextInputWidget

from breakers.config import Meanwhile
from breakers.models import BreakerConfig
from breakers.models.breaker import FIELDS
from breakers.models.breaker_limits import check_ramp

SECTIONS = (
    (None, ("description",)),
    ("When it opens", (("failure_threshold", "failure_rate"), ("minimum_calls", "consecutive"), ("window", "window_calls"))),
    ("Slow calls", (("slow_after", "slow_rate"),)),
    ("How it comes back", (("timeout", "timeout_cap"), ("permits", "permit_seconds"), ("ramp", "ramp_seconds"))),
    ("Only watch", ("shadow",)),
    ("For the record", ("why", "seen")),
)
"""The fields as they stand on the page."""
_RAMP = "After closing: the part of the calls that is let through, step by step. Empty = all."
_NUMBER = re.compile(r"\d{1,3}(?:[.,]\d{1,3})?")


class PercentField(forms.FloatField):
    """Shown as 50, kept as 0.5."""

    def prepare_value(self, value: Any) -> Any:
        """In percent; what a person typed stays as it is."""
        return f"{value * 100:g}" if isinstance(value, float | int) and not isinstance(value, bool) else value

    def clean(self, value: Any) -> Any:
        """As a share."""
        number = super().clean(str(value).replace("%", "").strip() if value is not None else value)
        return None if number is None else round(number / 100, 6)

    def has_changed(self, initial: Any, data: Any) -> bool:
        """By what is shown."""
        return bool(super().has_changed(None if initial is None else round(initial * 100, 6), data))


class RampField(forms.CharField):
    """``10, 25, 50`` for [0.1, 0.25, 0.5]."""

    def prepare_value(self, value: Any) -> Any:
        """In percent."""
        return ", ".join(f"{step * 100:g}" for step in value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        """As shares. Raises where there is something else than numbers in it."""
        parts = [part for part in re.split(r"[\s,;%→]+", str(value or "")) if part]
        if not all(_NUMBER.fullmatch(part) for part in parts):
            raise ValidationError("Enter percents with commas between, like 10, 25, 50; or nothing.")
        steps = [float(part) / 100 for part in parts]
        check_ramp(steps)
        return steps

    def has_changed(self, initial: Any, data: Any) -> bool:
        """By the steps."""
        try:
            return bool((initial or []) != self.to_python(data))
        except ValidationError:
            return True


class BreakerForm(forms.ModelForm):  # type: ignore[type-arg]
    """``seen`` is the version that the person looks at: an edit on top of somebody else's is refused."""

    failure_rate = PercentField(label="Failure rate, %", help_text="Share of calls that must fail.", min_value=0, max_value=100)
    slow_rate = PercentField(label="Slow rate, %", help_text="Share of slow calls that opens it.", min_value=1, max_value=100)
    ramp = RampField(label="Ramp, %", required=False, help_text=_RAMP)
    why = forms.CharField(
        label="Reason", max_length=500, widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "For the record"}),
        help_text="Why you change it; it stands in its history.",
    )  # fmt: skip
    seen = forms.IntegerField(widget=forms.HiddenInput)

    class Meta:
        model = BreakerConfig
        fields = ("description", *FIELDS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("failure_rate", "slow_rate", "ramp"):
            if name in self.fields:
                self.fields[name].widget = UnfoldAdminTextInputWidget()
        if "seen" in self.fields:
            self.fields["seen"].initial = self.instance.version

    def clean(self) -> dict[str, Any]:
        """Nobody else has changed it meanwhile."""
        cleaned = super().clean() or {}
        now = BreakerConfig.objects.filter(pk=self.instance.pk).values_list("version", flat=True).first()
        if cleaned.get("seen") is not None and cleaned["seen"] != now:
            raise ValidationError(Meanwhile.__doc__ or "")
        return cleaned
