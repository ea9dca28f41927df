"""``check_upgrade``: whether the previous release can go on while the migrations of this one are in force."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from resilience_site import released


class Command(BaseCommand):
    """Ends with 1 where a migration takes away what the previous release uses. Needs no database."""

    help = "Say which migrations the previous release would stumble over during a rolling upgrade."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        """``--mark``."""
        parser.add_argument("--mark", action="store_true", help="A release is made: remember its migrations.")

    def handle(self, *args: Any, mark: bool = False, **options: Any) -> None:
        """One line a breach."""
        if mark:
            self.stdout.write("\n".join(f"released: {app}.{name}" for app, name in released.mark()))
            return
        found = released.judge()
        for breach in found:
            self.stdout.write(str(breach))
        if found:
            self.stdout.write("Expand first, contract one release later: docs/howto/run-several-hosts.md")
            sys.exit(1)
        self.stdout.write("the previous release can go on beside these migrations")
