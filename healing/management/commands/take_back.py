"""``take_back --rule ID --user NAME --why …``: everything that a rule healed, taken back; the rule is retired.

``--wait`` works on it here and now; else a worker does. Prints how far it is.
"""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from healing import permits
from healing.management.refusing import RefusingCommand, found
from healing.models import Rule
from healing.take_back import orders, work


class Command(RefusingCommand):
    """A door to the same order as the rule's page."""

    help = "Takes back everything that a rule healed, newest first, each write as whoever wrote it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Flags."""
        parser.add_argument("--rule", type=UUID, required=True, metavar="ID")
        parser.add_argument("--user", required=True, help="Who orders it: a user name of the dashboard.")
        parser.add_argument("--why", required=True, help="Kept with the decision.")
        parser.add_argument("--wait", action="store_true", help="Do it here and now.")

    def act(self, **options: Any) -> None:
        """Order it, and with --wait work on it."""
        made = orders.order(found(Rule, options["rule"]), permits.person(options["user"]), options["why"])
        if options["wait"]:
            while made.state == made.State.RUNNING and work.work():
                made.refresh_from_db()
            work.work()
        far = orders.progress(made)
        self.stdout.write(f"{made.pk}: {far.undone} of {far.total} writes taken back, {far.conflict} in conflict, {far.refused} refused")
