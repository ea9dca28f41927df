"""``remove_monitor``: takes the DDL log and its event triggers out of the target again."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from resilience_site.target_setup import TargetError, connected
from schema_monitor import consent, install


class Command(BaseCommand):
    """Removes, or with ``--show`` only prints what it would run. Receipts and idempotency records stay."""

    help = "Remove the DDL log and its event triggers from the target; changes are then found by polling."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """``--show``, ``--url``."""
        parser.add_argument("--show", action="store_true", help="Print the SQL and do nothing.")
        parser.add_argument("--url", help="The login that installed it, or a superuser (default: the one that is configured).")

    def handle(self, *args: Any, show: bool, url: str | None, **options: Any) -> None:
        """Ends with 1 where this login may not."""
        if show:
            self.stdout.write(install.sql_to_remove())
            return
        try:
            if url is None:
                install.remove()
            else:
                consent.withdraw()
                with connected(url) as owner:
                    install.remove(owner)
        except (install.Refused, TargetError) as error:
            raise CommandError(str(error)) from None
        self.stdout.write("The DDL log is removed, and stays away until: python manage.py install_monitor")
