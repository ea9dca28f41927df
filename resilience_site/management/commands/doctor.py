"""``doctor``: what is wrong, and how to mend it."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from resilience_site import monitor_setup, target_setup
from resilience_site.config import Config, config
from resilience_site.examine import examine
from resilience_site.target_setup import TargetError


class Command(BaseCommand):
    """Looks at every part; ends with 1 when one of them is broken."""

    help = "Say what is wrong and how to mend it."
    requires_system_checks: list[str] = []  # a wrong environment is one of the findings

    def add_arguments(self, parser: ArgumentParser) -> None:
        """``--fix`` mends what we may mend."""
        parser.add_argument("--fix", action="store_true", help="Make the roles and install schema mendgate in the target.")

    def handle(self, *args: Any, fix: bool = False, **options: Any) -> None:
        """Print one line a part; the fix below each that is broken."""
        settings = config()
        if fix:
            try:
                self._fix(settings)
            except TargetError as error:
                raise CommandError(str(error)) from None
        broken = 0
        for finding in examine(settings):
            broken += not finding.ok
            self.stdout.write(f"{'ok    ' if finding.ok else 'BROKEN'} {finding.part}: {finding.state}")
            if finding.fix:
                self.stdout.write(f"       fix: {finding.fix}")
        self.stdout.write("all is well" if not broken else f"{broken} broken")
        if broken:
            sys.exit(1)

    def _fix(self, settings: Config) -> None:
        owner = monitor_setup.owner_url(settings)
        target_setup.prepare(settings.target_database_url, settings.exposed_schemas, owner)
        if (why_not := monitor_setup.prepare_unless_removed(owner, settings.target_database_url)) is not None:
            self.stdout.write(why_not)
