"""Lists of what may be millions: they count as far as people read."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.utils.functional import cached_property

MOST = 5_000


class BoundedPaginator(Paginator):  # type: ignore[type-arg]
    """Counts to ``MOST`` and no further; who looks for what lies behind narrows the list."""

    @cached_property
    def count(self) -> int:
        """How many there are, or ``MOST``."""
        return int(self.object_list.order_by()[:MOST].count())  # type: ignore[attr-defined]
