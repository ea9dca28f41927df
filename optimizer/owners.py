"""Settings that others keep: how each is read, and how it is set through its owner's own function."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from breakers import config
from breakers.models import AiSettings, BreakerConfig
from healing import audit
from healing.assist.models import Prompt
from healing.assist.prompts import NAME
from healing.gateway.coalesce import MOST_ROWS
from optimizer.core.breakers import KNOBS as BREAKERS
from optimizer.core.transactions import NAME as TRANSACTIONS
from optimizer.core.transactions import TOGETHER
from optimizer.models import Setting
from schema_monitor.watch import EVERY

PROMPT = "prompt"
_AI = {"ai_cache_seconds": "cache_seconds", "ai_retry_ratio": "retry_ratio"}
_OURS: dict[str, Any] = {"batch_rows": float(MOST_ROWS), "watch_seconds": EVERY, TRANSACTIONS: TOGETHER}
"""Kept by us: what the code does where nothing is set."""


def keeps(name: str) -> bool:
    """Whether somebody else keeps it."""
    return name in _AI or name in BREAKERS or name == PROMPT


def default(setting: Setting) -> Any:
    """One of ours: what is set, else what the code does."""
    return setting.value if setting.value is not None else _OURS.get(setting.name)


def read(name: str, place: str) -> Any:
    """What its owner says now; None where there is no such row."""
    if name in _AI:
        return float(getattr(AiSettings.load(), _AI[name]))
    if name == PROMPT:
        return Prompt.objects.filter(name=NAME, active=True).values_list("pk", flat=True).first()
    value = BreakerConfig.objects.filter(name=place).values_list(name, flat=True).first()
    return None if value is None else float(value)


@transaction.atomic
def write(name: str, place: str, old: Any, new: Any, *, who: str, why: str) -> None:
    """Sets it, and says so in the audit."""
    if name in _AI:
        row = AiSettings.load()
        setattr(row, _AI[name], new)
        row.save()
        audit.record(who, "tune", "setting", name, why=f"{old:g} → {new:g}: {why}")
    elif name == PROMPT:
        Prompt.objects.filter(name=NAME, active=True).update(active=False)
        Prompt.objects.filter(pk=new).update(active=True)
        audit.record(who, "activate", "prompt", new, why=why)
    else:
        row_id = BreakerConfig.objects.values_list("pk", flat=True).get(name=place)
        wanted = int(new) if BREAKERS[name].whole else new
        config.change(row_id, {name: wanted}, who=who, why=why)
        audit.record(who, "tune", "breaker", row_id, why=f"{place}: {name} {old:g} → {new:g}: {why}")
