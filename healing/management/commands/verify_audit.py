"""``verify_audit``: whether the record of decisions is whole. Exit code 1 if not."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from healing import audit
from healing.models import Decision


class Command(BaseCommand):
    """Recomputes every hash from the first decision on."""

    help = "Checks that no decision was altered or removed."

    def handle(self, *args: Any, **options: Any) -> None:
        """Check and say."""
        if faults := audit.faults():
            raise CommandError("\n".join(faults))
        self.stdout.write(f"{Decision.objects.count()} decisions, none altered or removed")
