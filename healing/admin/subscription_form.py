"""The form of a subscription: the address is written, never shown; lists are one a line."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from schema_monitor.alerts.models import SchemaSubscription
from schema_monitor.alerts.subscribing import set_address
from schema_monitor.core.severity import WEIGHTS

_ADDRESS = "E-mail: addresses with commas between. Slack, Discord, webhook: the URL. It is kept sealed, only the host is shown."


class LinesField(forms.CharField):
    """A list of short texts, one a line."""

    widget = UnfoldAdminTextareaWidget(attrs={"rows": 3})

    def prepare_value(self, value: Any) -> Any:
        """One a line."""
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        """What stands on each line."""
        return [line.strip() for line in (value or "").splitlines() if line.strip()]

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Blank lines are no change."""
        return (initial or []) != self.to_python(data)


class SubscriptionForm(forms.ModelForm):  # type: ignore[type-arg]
    """A new subscription needs an address; an old one keeps its own unless another is given."""

    destination = forms.CharField(
        label="Address",
        required=False,
        max_length=2000,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
        help_text=_ADDRESS,
    )
    schemas = LinesField(
        required=False, help_text="For instance: public. With schemas or tables here, only their changes are told, nothing else."
    )
    tables = LinesField(required=False, help_text="For instance: orders, user_*")
    kinds = LinesField(
        required=False,
        help_text="For instance: *_renamed. There are: trigger.*, breaker.open, budget.*, ai_key.retired, review.rule, review.digest, "
        f"{', '.join(sorted(WEIGHTS))}",
    )

    class Meta:
        model = SchemaSubscription
        fields = ("name", "channel", "minimum", "enabled", "schemas", "tables", "kinds")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and "destination" in self.fields:
            self.fields["destination"].help_text = f"Now {self.instance.shown_address} — leave it empty to keep it. {_ADDRESS}"

    def clean(self) -> dict[str, Any]:
        """Seals the address into the row. A channel that changes needs an address of its own."""
        cleaned = super().clean() or {}
        address, channel = cleaned.get("destination", ""), cleaned.get("channel", "")
        needed = not self.instance.pk or "channel" in self.changed_data
        if channel and (address or needed):
            self._take(channel, address)
        return cleaned

    def _take(self, channel: str, address: str) -> None:
        self.instance.channel = channel
        try:
            set_address(self.instance, address)
        except ValidationError as error:
            self.add_error("destination", error)
