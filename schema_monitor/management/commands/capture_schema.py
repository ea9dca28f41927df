"""``python manage.py capture_schema``: take a version of the target's schema now."""

from __future__ import annotations

from typing import Any

import psycopg
from django.core.management.base import BaseCommand, CommandError, CommandParser

from schema_monitor.capture import capture
from schema_monitor.models import SchemaVersion


class Command(BaseCommand):
    """Prints one line that says what changed."""

    help = "Read the target's schema; store a new version if it changed. Every running process then uses it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--cause", default="command", choices=["start", "command"], help="noted on the version (default: command)")

    def handle(self, *args: Any, cause: str, **options: Any) -> None:
        try:
            version = capture(cause)
        except psycopg.Error as error:
            raise CommandError(f"The target's schema cannot be read: {str(error).strip()} Check TARGET_DATABASE_URL.") from error
        latest = SchemaVersion.objects.only("epoch").first()
        self.stdout.write(str(version) if version else f"v{latest.epoch if latest else 0} is current: no change.")
