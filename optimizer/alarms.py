"""What calls an experiment off from outside: the error budget burns 14.4 times too fast, or the schema broke."""

from __future__ import annotations

from datetime import datetime

from metrics.models import Trigger
from schema_monitor.models import SchemaChange

_BURNS = "14.4×"


def since(moment: datetime, now: datetime) -> str:
    """The alarm that was raised between the two, as a sentence; '' where there was none."""
    burning = Trigger.objects.filter(name="burn_rate", about=_BURNS, since__gt=moment, since__lte=now).first()
    if burning is not None:
        return burning.sentence
    broken = SchemaChange.objects.filter(severity="critical", version__taken_at__gt=moment, version__taken_at__lte=now).first()
    return f"The schema changed critically: {broken.sentence}" if broken is not None else ""
