"""Who a caller in the AI's books is: an API key by its name, healing, or nobody in particular."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from breakers.models.ai_use import HEALING
from healing.models import ApiKey

ERASED = "erased"
_OTHERS = {"": "without a key", HEALING: "healing itself", ERASED: "erased callers"}


def names(keys: Iterable[str]) -> dict[str, str]:
    """What people call them."""
    wanted = set(keys)
    rows = ApiKey.objects.filter(pk__in=[key for key in wanted if _is_id(key)])
    known = {str(row.pk): f"{row.name} ({row.prefix}…)" for row in rows}
    return {key: known.get(key) or _OTHERS.get(key) or f"a removed key ({key[:8]}…)" for key in wanted}


def _is_id(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
