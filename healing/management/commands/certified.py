"""``certified``: which buckets of the matcher's proposals apply themselves under policy ``certified``, and what the others lack."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from healing.certified.evidence import known
from healing.core.certify import BELIEF, WANTED, Tally, needed


class Command(BaseCommand):
    """One line a bucket: right, wrong, lower bound, what it lacks."""

    help = "Shows the evidence of policy certified."

    def handle(self, *args: Any, **options: Any) -> None:
        """Print."""
        found = known()
        self.stdout.write(f"Certified: right with at least {WANTED:.1%}, believed at {BELIEF:.0%}. One decided cause counts once.")
        for bucket, tally in sorted(found.items()):
            self.stdout.write(f"{bucket:<36} right {tally.right:>5}  wrong {tally.wrong:>4}  at least {tally.bound:7.2%}  {_state(tally)}")
        if not any(tally.certified for tally in found.values()):
            self.stdout.write("No bucket is certified yet: under policy certified nothing applies itself but what does under approved.")


def _state(tally: Tally) -> str:
    if tally.certified:
        return "certified"
    lacks = needed(tally)
    return "off: a heal was taken back" if lacks is None else f"{lacks} more right decisions"
