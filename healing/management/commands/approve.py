"""``approve <proposal> --user NAME [--note …]``: makes a fix an active rule and replays what waits for it."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from healing import permits
from healing.approval import approve
from healing.management.refusing import RefusingCommand, found
from healing.models import Proposal


class Command(RefusingCommand):
    """Decided by a person, whose name is kept."""

    help = "Approves a proposed fix as a user of the dashboard."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Flags."""
        parser.add_argument("proposal", type=UUID)
        parser.add_argument("--user", required=True, help="Who approves: a user name of the dashboard.")
        parser.add_argument("--note", default="")

    def act(self, **options: Any) -> None:
        """Approve and say what became of it."""
        rule = approve(found(Proposal, options["proposal"]), permits.person(options["user"]), options["note"])
        if rule is None:
            self.stdout.write("noted; it becomes a rule when enough people have approved it")
            return
        order = rule.replay_set.order_by("-created_at").first()
        self.stdout.write(f"rule {rule.pk} is active: {rule.sentence}")
        if order is not None:
            self.stdout.write(f"replay {order.pk} of {order.total} waiting writes was ordered")
