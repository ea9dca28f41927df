"""``restored``: after the control database came back from a backup, before workers start."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from healing import restored


class Command(BaseCommand):
    """Nothing that waited goes on by itself; people log in anew."""

    help = "After a restore of the control database: park what may have landed since the backup, pause replays, end sessions."

    def handle(self, *args: Any, **options: Any) -> None:
        """Says what was done, and what a person must do."""
        done = restored.settle()
        self.stdout.write(f"{done.parked} kept writes wait for a person now, {done.paused} replays pause, {done.sessions} sessions ended")
        self.stdout.write(
            f"{done.keys} API keys work: revoke those again that were revoked since the backup, and make those anew that were made since"
        )
