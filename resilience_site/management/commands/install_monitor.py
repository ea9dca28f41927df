"""``install_monitor``: the DDL log and its event triggers in the target, the SQL shown first."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from resilience_site import monitor_setup
from resilience_site.config import config
from resilience_site.target_setup import TargetError, connected
from schema_monitor import consent, install


class Command(BaseCommand):
    """Installs, or with ``--show`` only prints what it would run."""

    help = "Install the DDL log and two event triggers in the target's schema mendgate: changes are then seen in milliseconds."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """``--show``, ``--url``."""
        parser.add_argument("--show", action="store_true", help="Print the SQL and do nothing.")
        parser.add_argument("--url", help="A login that may create event triggers (default: the one that is configured).")

    def handle(self, *args: Any, show: bool, url: str | None, **options: Any) -> None:
        """Ends with 1 where this login may not."""
        if show:
            self.stdout.write(install.sql_to_install())
            return
        try:
            if url is None:
                install.install()
            else:
                with connected(url) as owner:
                    install.install(owner, install.role_of(config().target_database_url))
                consent.give()
        except install.Refused as error:
            raise CommandError(f"This login may not install the DDL log: {error}. Run as a superuser: {monitor_setup.BY_HAND}") from None
        except TargetError as error:
            raise CommandError(str(error)) from None
        self.stdout.write("The DDL log is installed. Take it away with: python manage.py remove_monitor")
