"""``reseal``: after ``SECRET_KEY`` changed, seal everything with the new one. ``--check`` only counts."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from healing import resealing


class Command(BaseCommand):
    """Ends with 0 when the fallbacks may go: nothing needs them any more."""

    help = "Seal with the current SECRET_KEY what an older one sealed, so that SECRET_KEY_FALLBACKS may go."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """``--check``."""
        parser.add_argument("--check", action="store_true", help="Change nothing.")

    def handle(self, *args: Any, check: bool = False, **options: Any) -> None:
        """One line a place."""
        if not check:
            self.stdout.write(f"{resealing.reseal()} sealed anew")
        found = [*resealing.held(), resealing.in_target()]
        for each in found:
            self.stdout.write(f"{each.place}: {each.current} current, {each.older} older, {each.closed} that no secret opens")
        if any(each.closed for each in found):
            raise CommandError(
                "What no secret opens needs the secret it was sealed with, in SECRET_KEY_FALLBACKS. Lost? See docs/howto/backup.md."
            )
        if any(each.older for each in found):
            raise CommandError(
                "SECRET_KEY_FALLBACKS is still needed. Run it again without --check, or wait until the target's receipts have moved. "
                "What is damaged stays (the log names it): when nothing else is left they may go."
            )
        self.stdout.write("everything is sealed with SECRET_KEY: SECRET_KEY_FALLBACKS may go")
