"""``generate_types``: the schema as TypeScript types for supabase-js, so that drift shows when a program is compiled."""

from __future__ import annotations

import difflib
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from healing.known_schema import NoSchema, known_schema
from healing.typings.document import typescript

_USAGE = 2
_MOST_LINES = 60


class Command(BaseCommand):
    """Exit code 0: done; 1: the file is not what the schema is now, with ``--check``; 2: it could not be done."""

    help = "Writes TypeScript types of the schema, in the shape of Supabase's generator."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Flags."""
        parser.add_argument("--output", type=Path, help="Write to this file instead of the screen.")
        parser.add_argument("--check", type=Path, metavar="FILE", help="Write nothing; exit with 1 where FILE differs.")
        parser.add_argument("--schema", action="append", metavar="NAME", help="Only this one; several may be given, the default first.")
        parser.add_argument("--database", metavar="URL", help="Read this database as it is now, not the newest captured version.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Read, write or compare."""
        try:
            _, snapshot, _ = known_schema(options["database"])
        except NoSchema as error:
            raise CommandError(str(error), returncode=_USAGE) from error
        text = typescript(snapshot, _schemas(options["schema"]))
        if options["check"] is not None:
            self._compare(options["check"], text)
        elif options["output"] is None:
            self.stdout.write(text, ending="")
        else:
            _write(options["output"], text)

    def _compare(self, path: Path, text: str) -> None:
        try:
            known = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{path} cannot be read: {error}.", returncode=_USAGE) from error
        if known == text:
            self.stdout.write(f"{path} is what the schema is.")
            return
        lines = list(difflib.unified_diff(known.splitlines(), text.splitlines(), str(path), "the schema now", lineterm="", n=2))
        self.stdout.write("\n".join(lines[:_MOST_LINES]))
        self.stderr.write(f"{path} is not what the schema is. Run: python manage.py generate_types --output {path}")
        sys.exit(1)


def _schemas(asked: list[str] | None) -> tuple[str, ...]:
    exposed = tuple(settings.MENDGATE.exposed_schemas)
    unknown = [name for name in asked or () if name not in exposed]
    if unknown:
        known = ", ".join(exposed)
        raise CommandError(f"{', '.join(unknown)} is not exposed. EXPOSED_SCHEMAS has: {known}.", returncode=_USAGE)
    return tuple(asked) if asked else exposed


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}.", returncode=_USAGE) from error
