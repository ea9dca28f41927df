"""``create_api_key --role service_role [--name N] [--expires 2027-01-31]``: prints the key and nothing else."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from healing.keys_admin import QUOTA, create_key
from healing.models import Role


class Command(BaseCommand):
    """The key is shown this once; only its hash is stored."""

    help = "Creates an API key and prints it; it is never shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Flags."""
        parser.add_argument("--role", choices=Role.values, required=True)
        parser.add_argument("--name", default="", help="Who uses it, e.g. the edge function's name.")
        parser.add_argument("--expires", type=_moment, help="ISO date or time; without a zone it is UTC.")
        parser.add_argument("--requests-per-minute", type=_count, default=0, help="Of the data API; 0 = no limit.")
        parser.add_argument("--at-once", type=_count, default=0, help="Requests at a time; 0 = no limit.")
        parser.add_argument("--most-bytes", type=_count, default=0, help="Of a body; 0 = what the gateway takes.")
        parser.add_argument("--scope", action="append", choices=["data", "ai", "api", "breakers", "metrics"], default=[])

    def handle(self, *args: Any, **options: Any) -> None:
        """Create and print."""
        expires = options["expires"]
        if expires is not None and expires <= datetime.now(UTC):
            raise CommandError("--expires is in the past.")
        quota = {name: options[name] for name in QUOTA}
        name = options["name"] or options["role"]
        text, _ = create_key(name, options["role"], expires_at=expires, scopes=options["scope"], **quota)
        self.stdout.write(text)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _count(text: str) -> int:
    if not text.isdigit() or int(text) > 2_147_483_647:
        raise ArgumentTypeError("write a whole number, 0 for no limit")
    return int(text)
