"""How the dashboard writes its numbers."""

from __future__ import annotations

from django import template

from healing.dashboard.said import said
from metrics.core.triggers import Limit

register = template.Library()


@register.filter
def grouped(count: int) -> str:
    """``48,210``."""
    return f"{count:,}"


@register.filter
def share(value: float) -> str:
    """``96.2 %``."""
    return said(value, "share")


@register.filter
def bound(limit: Limit) -> str:
    """A threshold's bound as people write it: shares in percent."""
    return f"{limit.bound * 100 if limit.unit == 'share' else limit.bound:g}"
