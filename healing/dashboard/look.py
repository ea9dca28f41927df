"""One look at the dashboard: everything that the page shows and that changes while somebody watches."""

from __future__ import annotations

from django.db.models import Count
from django.urls import reverse
from msgspec import Struct

from healing.dashboard import facts, flow, misfits, numbers
from healing.dashboard.asked import Asked
from healing.dashboard.moves import moves
from healing.models import ApiKey, QuarantineItem, Receipt
from metrics.core.figures import Figures
from metrics.models import Series, Trigger


class State(Struct, frozen=True):
    """Is all well? ``counts`` are (text, link) of the stretch."""

    colour: str
    text: str
    counts: list[tuple[str, str]]


class Look(Struct, frozen=True):
    """``picture`` is None where no write came."""

    state: State
    rows: list[numbers.Row]
    picture: flow.Picture | None
    misfits: list[misfits.Misfit]


def look(asked: Asked) -> Look:
    """Read now. Call it within ``timelines.one_moment``."""
    found = facts.read(asked)
    stages = flow.stages(found.now)
    rows, picture = numbers.rows(found, asked, moves(found)), flow.draw(stages) if stages else None
    return Look(state(asked, found.now), rows, picture, misfits.top(asked))


def state(asked: Asked, figures: Figures) -> State:
    """The sentence: what is wrong first, else that all is well."""
    by = dict(QuarantineItem.objects.order_by().values_list("state").annotate(n=Count("pk")))
    stuck, waiting = by.get("parked", 0) + by.get("conflict", 0), by.get("waiting", 0)
    return State(*_sentence(stuck, waiting, arrived()), counts=_counts(asked, figures, waiting + stuck))


def arrived() -> bool:
    """Whether a write has ever come, or a key was ever used."""
    used = ApiKey.objects.filter(last_used_at__isnull=False)
    return used.exists() or Receipt.objects.exists() or Series.objects.filter(name="mendgate_writes_total").exists()


def _sentence(stuck: int, waiting: int, any_write: bool) -> tuple[str, str]:
    burning = Trigger.objects.filter(ended=None, name="burn_rate").values_list("sentence", flat=True).first()
    if burning:
        return "danger", f"Writes are failing: {burning[:1].lower()}{burning[1:]}"
    if stuck:
        who = "One write is" if stuck == 1 else f"{stuck:,} writes are"
        return "danger", f"{who} stuck: a replay failed, or a newer write touched the row."
    if waiting:
        return "warning", f"{waiting:,} write{'s' if waiting > 1 else ''} kept safe, waiting for a fix."
    if not any_write:
        return "info", "No write has come yet."
    return "success", "All writes are landing."


def _counts(asked: Asked, figures: Figures, waiting: int) -> list[tuple[str, str]]:
    def writes(*outcomes: str) -> int:
        return round(figures.total("mendgate_writes_total", **({"outcome": outcomes} if outcomes else {})))

    receipts = reverse("admin:healing_receipt_changelist")
    all_, refused = writes(), writes("refused")
    return [
        (f"{all_:,} write{'' if all_ == 1 else 's'}", "#chart-outcomes"),
        (f"{writes('healed'):,} healed", f"{receipts}?outcome=committed"),
        (f"{waiting:,} waiting now", reverse("admin:healing_causes")),
        *([(f"{refused:,} refused", "#chart-outcomes")] if refused else []),
        (f"{writes('failed'):,} failed", "#chart-outcomes"),
    ]
