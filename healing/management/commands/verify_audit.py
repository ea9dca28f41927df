"""``verify_audit [--file EXPORT] [--head HASH]``: whether the record of decisions is whole. Exit code 1 if not."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from healing import audit_check
from healing.models import Decision


class Command(BaseCommand):
    """Recomputes every hash from the first decision on, and names each row that was changed, is missing, or was moved."""

    help = "Checks that no decision was altered, removed or moved, and that everything decided has its decision."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Flags."""
        parser.add_argument("--file", type=Path, help="Check this export (JSON lines) instead of the database.")
        parser.add_argument("--head", default="", help="A hash that was the newest one once: it must still be in the chain.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Check and say."""
        rows = _rows(options["file"])
        found = audit_check.faults(rows) + ([] if options["file"] else audit_check.unrecorded())
        if options["head"] and options["head"] not in {row.hash for row in rows}:
            found.append(f"no decision has the hash {options['head']}: the end was cut off, or the whole chain was written anew")
        if found:
            raise CommandError("\n".join(found))
        last = f" Newest: {rows[-1].number}, {rows[-1].hash}" if rows else ""
        self.stdout.write(f"{len(rows)} decisions, none altered, removed or moved.{last}")


def _rows(file: Path | None) -> list[Decision]:
    if file is None:
        return list(Decision.objects.order_by("number"))
    try:
        return list(audit_check.read(file.read_text().splitlines()))
    except (OSError, ValueError) as error:
        raise CommandError(f"{file}: {error}") from error
