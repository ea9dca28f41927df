"""``old_names``: former names that are still followed, who still uses them, and which were retired."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from schema_monitor.aliases import aliases


class Command(BaseCommand):
    """One line a name: id (for ``retire_name``), what it means, how far it is from being needed by nobody."""

    help = "Lists former names that live on, and who still uses them."

    def handle(self, *args: Any, **options: Any) -> None:
        """Print them, those in use first."""
        now = timezone.now()
        found = aliases()
        if not found:
            self.stderr.write("No former name lives on.")
        for alias in found:
            self.stdout.write(f"{alias.id}\t{alias.state}\t{alias.place}.{alias.name} -> {alias.now}\t{alias.countdown(now)}")
