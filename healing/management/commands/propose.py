"""``propose --quarantine ID --fix JSON --user NAME``: a person's own fix for what keeps a write from landing; prints its id."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from healing import approval, permits
from healing.checked_fix import fix_of
from healing.management.refusing import RefusingCommand, found
from healing.models import QuarantineItem


class Command(RefusingCommand):
    """It still has to be approved."""

    help = "Proposes a fix written by a person; prints the proposal's id."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Flags."""
        parser.add_argument("--quarantine", type=UUID, required=True, metavar="ID", help="A write that has the misfit.")
        parser.add_argument("--fix", required=True, help='For example: [{"op": "rename_column", "from": "a", "to": "b"}]')
        parser.add_argument("--user", required=True, help="Who writes it: a user name of the dashboard.")

    def act(self, **options: Any) -> None:
        """Check it and propose it."""
        item = found(QuarantineItem, options["quarantine"])
        user = permits.person(options["user"])
        self.stdout.write(str(approval.write(item.schema, item.table, item.signature, fix_of(options["fix"]), user).pk))
