"""``retire_name <id> --user NAME --why …``: a former name is followed no more; ``--restore`` takes that back."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from healing import permits, retired_names
from healing.management.refusing import RefusingCommand


class Command(RefusingCommand):
    """Decided by a person, whose name is kept."""

    help = "Ends a former name that old callers may still use (ids: manage.py old_names)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Flags."""
        parser.add_argument("alias", help="Its id, as old_names prints it.")
        parser.add_argument("--user", required=True, help="Who decides: a user name of the dashboard.")
        parser.add_argument("--why", required=True)
        parser.add_argument("--restore", action="store_true", help="Follow the name again.")

    def act(self, **options: Any) -> None:
        """Decide and say what became of it."""
        decide = retired_names.restore if options["restore"] else retired_names.retire
        alias = decide(options["alias"], permits.person(options["user"]), options["why"])
        said = "is followed to" if options["restore"] else "is not followed any more to"
        self.stdout.write(f"{alias.place}.{alias.name} {said} {alias.now}")
