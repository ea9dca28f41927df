"""``schema_fix --quarantine ID``: the migrations that would let a kept write land, with their ids and SQL.

``--write DIR`` puts the best one there as a migration file; ``--approve ID --user NAME [--run]`` and ``--reject ID --user NAME --why …``
decide, as in the dashboard.
"""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any
from uuid import UUID

from healing import permits
from healing.management.refusing import RefusingCommand, found
from healing.models import QuarantineItem
from healing.refusals import NotFound
from healing.schema_fixes import decide
from healing.schema_fixes.offers import Offers, Place, offers_for
from healing.schema_fixes.told import named, written


class Command(RefusingCommand):
    """A door to the same decisions as the dashboard's."""

    help = "Shows, writes, approves or rejects the migrations that would let a kept write land."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Flags."""
        parser.add_argument("--quarantine", type=UUID, required=True, metavar="ID", help="A write that waits.")
        what = parser.add_mutually_exclusive_group()
        what.add_argument("--write", type=Path, metavar="DIR", help="Write the best one there as a migration file.")
        what.add_argument("--approve", type=UUID, metavar="ID")
        what.add_argument("--reject", type=UUID, metavar="ID")
        parser.add_argument("--run", action="store_true", help="Let Mendgate run it, where ALLOW_DDL=on.")
        parser.add_argument("--user", default="", help="Who decides: a user name of the dashboard.")
        parser.add_argument("--why", default="")

    def act(self, **options: Any) -> None:
        """Show, write or decide."""
        item = found(QuarantineItem, options["quarantine"])
        place: Place = (item.schema, item.table, item.signature)
        if options["approve"]:
            user = permits.person(options["user"])
            fix = decide.approve(place, options["approve"], user, run=options["run"], note=options["why"])
            self.stdout.write(f"{fix.pk} {fix.state}")
        elif options["reject"]:
            decide.reject(place, options["reject"], permits.person(options["user"]), options["why"])
            self.stdout.write("rejected")
        elif options["write"]:
            self._write(offers_for([place])[place], options["write"])
        else:
            self._show(offers_for([place])[place])

    def _show(self, offers: Offers) -> None:
        for offer in offers.schema:
            self.stdout.write(
                f"{offer.id} {offer.decided.state if offer.decided else 'open'}: {offer.proposal.sentence}\n{offer.proposal.sql}"
            )
        for way in offers.instead:
            self.stdout.write(f"instead: {way.sentence} {way.loses}")
        if not offers.schema:
            self.stdout.write("No migration is proposed for this write.")

    def _write(self, offers: Offers, place: Path) -> None:
        if not offers.schema:
            raise NotFound("No migration is proposed for this write.")
        if not place.is_dir():
            raise NotFound(f"There is no folder {place}.", "Make it first, or name the one that holds your migrations.")
        path = place / named(offers.schema[0])
        path.write_text(written(offers.schema[0], offers), encoding="utf-8")
        self.stdout.write(str(path))
