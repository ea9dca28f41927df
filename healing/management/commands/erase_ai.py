"""Forget what one caller asked the AI."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from breakers.ai_retention import erase
from healing import audit, permits
from healing.models import ApiKey
from healing.refusals import Refused


class Command(BaseCommand):
    """Deletes a key's AI calls; its sums stay as nobody's."""

    help = "Delete the AI calls of one API key; what it spent stays in the sums, without its name."

    def add_arguments(self, parser: CommandParser) -> None:
        """A key by its prefix, and who asks for it."""
        parser.add_argument("prefix", help="The key's prefix: mg_<prefix>_…")
        parser.add_argument("--user", required=True, help="Whose decision it is.")
        parser.add_argument("--why", default="", help="For the record.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Erases, with a decision."""
        prefix = options["prefix"].removeprefix("mg_").partition("_")[0]
        key = ApiKey.objects.filter(prefix=prefix).first()
        if key is None:
            raise CommandError(f"There is no API key with the prefix {prefix!r}.")
        try:
            user = permits.require(permits.person(options["user"]), permits.CHANGE_KEY)
        except Refused as error:
            raise CommandError(f"{error.message} {error.hint or ''}") from error
        with transaction.atomic():
            gone = erase(str(key.pk))
            audit.record(user.get_username(), "erase", "ai calls", key.pk, why=options["why"])
        self.stdout.write(f"{gone} calls were deleted.")
