"""``export_audit [--since NUMBER] > decisions.jsonl``: the decisions as JSON lines, as ``verify_audit --file`` reads them."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from healing import audit_check


class Command(BaseCommand):
    """Oldest first."""

    help = "Writes the record of decisions to stdout, one JSON object a line."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Flags."""
        parser.add_argument("--since", type=int, default=0, metavar="NUMBER", help="From this decision on.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Write."""
        for line in audit_check.lines(options["since"]):
            self.stdout.write(line, ending="")
