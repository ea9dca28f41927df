"""The one obvious next step after a change."""

from __future__ import annotations

from django.urls import reverse
from msgspec import Struct

from healing.schema_facts.consequences import Consequences
from schema_monitor.models import SchemaChange


class Step(Struct, frozen=True):
    """A sentence, and where it is done. ``colour`` is the dot's."""

    colour: str
    text: str
    link: str = ""
    label: str = ""


def next_step(change: SchemaChange, led_to: Consequences, *, old_name_in_use: str = "", seen: bool = False) -> Step:
    """What waits first, then what a person must look at again, then who should be told, then nothing."""
    if led_to.waiting:
        return _waiting(led_to)
    review = [rule for rule in led_to.reviewed if rule.state == "review"]
    if review:
        them = "1 rule" if len(review) == 1 else f"{len(review)} rules"
        return Step("warning", f"{them} went back to review because of this.", reverse("admin:healing_review"), "Review")
    if old_name_in_use:
        return Step("info", old_name_in_use, reverse("admin:schema_names"), "See who")
    if change.severity == "critical" and not seen:
        return Step("warning", "Nothing waits because of it. Is it meant? Then mark it as seen.")
    return Step("success", "Nothing is left to do.")


def _waiting(led_to: Consequences) -> Step:
    waits = "1 write waits" if led_to.waiting == 1 else f"{led_to.waiting} writes wait"
    if led_to.decidable:
        return Step("danger", f"{waits} because of this, and a fix is proposed.", reverse("admin:healing_review"), "Review")
    return Step("danger", f"{waits} because of this, and no fix is known.", reverse("admin:healing_causes"), "Look")
