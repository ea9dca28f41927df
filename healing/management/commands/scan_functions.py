"""``scan_functions supabase/functions``: which functions bypass Mendgate, what is wrong with their calls, and a patch that moves them."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import Error as ControlDatabaseError

from healing.core.sources.findings import Level
from healing.core.sources.sarif import sarif
from healing.core.sources.writes import World
from healing.scan.report import as_json, table
from healing.scan.scanning import BadFolder, Scan, check, read_traffic, scan
from healing.scan_runs import record
from schema_monitor import catalog, versions
from schema_monitor.core.lineage import Lineage

_USAGE = 2
_FOUND = 1
_RANK = {Level.ERROR: 3, Level.WARNING: 2, Level.NOTE: 1}
_NO_SCHEMA = (
    "No schema version has been captured yet, so nothing can be held against it. Run: python manage.py capture_schema"
    " (or give --database URL to read a schema directly, or --no-schema to count calls only)."
)


class Command(BaseCommand):
    """Exit code 0: done; 1: findings, with ``--check``; 2: it could not be done."""

    help = "Scans edge functions: direct calls of the database and of AI services, what does not fit the schema, what to move first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Flags."""
        parser.add_argument("folder", type=Path, help="The folder with one folder a function: supabase/functions")
        parser.add_argument("--format", choices=["table", "json", "sarif"], default="table")
        parser.add_argument("--output", type=Path, help="Write the report to this file instead of the screen.")
        parser.add_argument("--check", action="store_true", help="Exit with 1 where something is found: for CI.")
        parser.add_argument(
            "--level", choices=["error", "warning", "note"], default="error", help="What counts for --check (default: error)."
        )
        parser.add_argument("--traffic", type=Path, help="Calls a function, as CSV (function,calls,failures) or JSON: for the order.")
        parser.add_argument(
            "--database", metavar="URL", help="Hold the code against this database as it is now, not against a captured version."
        )
        parser.add_argument("--no-schema", action="store_true", help="Count calls only; judge nothing.")
        parser.add_argument("--no-record", action="store_true", help="Do not keep the result for the page “Functions”.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Scan, say, keep."""
        try:
            check(options["folder"])
            epoch, world = _world(options["database"], options["no_schema"])
            traffic = read_traffic(options["traffic"]) if options["traffic"] else None
            found = scan(options["folder"], world, epoch, traffic, settings.MENDGATE.exposed_schemas[0])
        except BadFolder as error:
            raise CommandError(str(error), returncode=_USAGE) from error
        self._say(found, options["format"], options["output"])
        if not (options["no_record"] or options["database"] or options["no_schema"]):
            self._keep(found)
        if options["check"] and any(_RANK[f.level] >= _RANK[Level(options["level"])] for f in found.findings):
            sys.exit(_FOUND)

    def _say(self, found: Scan, form: str, output: Path | None) -> None:
        text = _rendered(found, form)
        if output is None:
            self.stdout.write(text)
            return
        try:
            output.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{output} cannot be written: {error.strerror}.", returncode=_USAGE) from error

    def _keep(self, found: Scan) -> None:
        try:
            record(found)
        except ControlDatabaseError as error:
            self.stderr.write(f"The result was not kept for the page “Functions”: {str(error).strip()}")


def _rendered(found: Scan, form: str) -> str:
    if form == "table":
        return table(found)
    value = as_json(found) if form == "json" else sarif(found.findings, _base(Path(found.root)))
    return json.dumps(value, ensure_ascii=False, indent=2)


def _base(root: Path) -> str:
    """The folder as the repository calls it: relative to where the command runs, where it lies below."""
    try:
        return root.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        parts = root.resolve().parts
        return "/".join(parts[parts.index("supabase") :]) if "supabase" in parts else ""


def _world(database: str | None, no_schema: bool) -> tuple[int, World | None]:
    """What to judge by: the newest captured version, a database as it is, or nothing."""
    if no_schema:
        return 0, None
    if database:
        return 0, _live(database)
    try:
        newest = versions.latest()
    except ControlDatabaseError as error:
        raise CommandError(
            f"The control database cannot be read: {str(error).strip()} Give --database URL, or --no-schema.", returncode=_USAGE
        ) from error
    if newest is None:
        raise CommandError(_NO_SCHEMA, returncode=_USAGE)
    epoch, snapshot, lineage = newest
    return epoch, World(snapshot, lineage, {})


def _live(url: str) -> World:
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
            snapshot = catalog.read_snapshot_sync(connection, settings.MENDGATE.exposed_schemas)
    except psycopg.Error as error:
        raise CommandError(f"The schema cannot be read from --database: {str(error).strip()}", returncode=_USAGE) from error
    return World(snapshot, Lineage.start(snapshot), {})
