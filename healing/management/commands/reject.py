"""``reject <proposal> --user NAME --why …``: says no to a fix, for good."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from healing import permits
from healing.approval import reject
from healing.management.refusing import RefusingCommand, found
from healing.models import Proposal


class Command(RefusingCommand):
    """The writes keep waiting; another fix may be approved."""

    help = "Rejects a proposed fix as a user of the dashboard."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Flags."""
        parser.add_argument("proposal", type=UUID)
        parser.add_argument("--user", required=True, help="Who rejects: a user name of the dashboard.")
        parser.add_argument("--why", required=True)

    def act(self, **options: Any) -> None:
        """Reject and say so."""
        proposal = found(Proposal, options["proposal"])
        reject(proposal, permits.person(options["user"]), options["why"])
        self.stdout.write(f"rejected: {proposal.sentence}")
