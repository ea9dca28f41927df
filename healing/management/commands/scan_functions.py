"""``scan_functions supabase/functions``: which functions bypass Mendgate, what is wrong with their calls, and a patch that moves them."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import Error as ControlDatabaseError

from healing.core.sources.findings import Finding, Level
from healing.core.sources.sarif import sarif
from healing.core.sources.writes import World
from healing.known_schema import NoSchema, known_schema
from healing.scan.folder import Folder
from healing.scan.patch import Patch, patch
from healing.scan.report import as_json, table
from healing.scan.scanning import BadFolder, Scan, check, read_traffic, scan
from healing.scan_runs import record
from schema_monitor.traffic import recent_shapes

_USAGE = 2
_FOUND = 1
_RANK = {Level.ERROR: 3, Level.WARNING: 2, Level.NOTE: 1}


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
        parser.add_argument(
            "--patch", type=Path, metavar="FILE", help="Write a unified diff that moves what can be moved; nothing else is done."
        )
        parser.add_argument("--names", action="store_true", help="With --patch: also write the names of today for former ones.")
        parser.add_argument(
            "--client", default="", metavar="SPECIFIER", help="With --patch: import the client from there, not from a copy."
        )
        parser.add_argument("--no-record", action="store_true", help="Do not keep the result for the page “Functions”.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Scan, say, keep; or write the patch."""
        if options["patch"]:
            self._patch(options)
            return
        try:
            check(options["folder"])
            epoch, world = _world(options["database"], options["no_schema"])
            traffic = read_traffic(options["traffic"]) if options["traffic"] else None
            found = scan(options["folder"], world, epoch, traffic, settings.MENDGATE.exposed_schemas[0], _requests(epoch))
        except BadFolder as error:
            raise CommandError(str(error), returncode=_USAGE) from error
        self._say(_rendered(found, options["format"]), options["output"])
        if not (options["no_record"] or options["database"] or options["no_schema"]):
            self._keep(found)
        if options["check"] and any(_RANK[f.level] >= _RANK[Level(options["level"])] for f in found.findings):
            sys.exit(_FOUND)

    def _say(self, text: str, output: Path | None) -> None:
        if output is None:
            self.stdout.write(text)
            return
        _write(output, text + "\n")

    def _patch(self, options: dict[str, Any]) -> None:
        """The diff goes into the file, what was done and what was not is said."""
        root, target = options["folder"], options["patch"]
        try:
            check(root)
            former = _former(root, options["database"]) if options["names"] else ()
        except BadFolder as error:
            raise CommandError(str(error), returncode=_USAGE) from error
        made = patch(Folder(root), options["client"], former)
        _write(target, made.diff(_base(root)))
        edited = sum(before is not None for before, _ in made.files.values())
        self.stdout.write(
            f"{made.moved} calls moved in {edited} files; {len(made.files) - edited} files added. {_apply(made, root, target)}"
        )
        for skipped in made.skipped:
            self.stdout.write(f"left as it is: {skipped.place}: {skipped.why}")

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


def _requests(epoch: int) -> dict[str, tuple[int, int]]:
    """(requests, those that did not fit) of each table as callers sent them lately; nothing where the schema was not ours to capture."""
    found: dict[str, tuple[int, int]] = {}
    for shape in recent_shapes() if epoch else ():
        requests, misfits = found.get(shape.name, (0, 0))
        found[shape.name] = (requests + shape.requests, misfits + shape.misfits)
    return found


def _former(root: Path, database: str | None) -> tuple[Finding, ...]:
    """The findings whose fix is in the schema's own history."""
    epoch, world = _world(database, no_schema=False)
    found = scan(root, world, epoch, None, settings.MENDGATE.exposed_schemas[0])
    return tuple(finding for finding in found.findings if finding.rule == "renamed")


def _write(path: Path, text: str) -> None:
    try:
        path.write_bytes(text.encode())
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}.", returncode=_USAGE) from error


def _apply(made: Patch, root: Path, target: Path) -> str:
    """What to do with the patch."""
    if not made.files:
        return "Nothing is left to move."
    top = repository(root)
    return f"Review {target}, then: git -C {top} apply {target.resolve()}" if top is not None else f"Review {target}, then apply it."


def _base(root: Path) -> str:
    """The folder as its repository calls it; without one, from ``supabase`` on."""
    top, here = repository(root), root.resolve()
    if top is not None:
        return here.relative_to(top).as_posix()
    return "/".join(here.parts[here.parts.index("supabase") :]) if "supabase" in here.parts else ""


def repository(root: Path) -> Path | None:
    """The top of the git work tree that the folder lies in."""
    here = root.resolve()
    return next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), None)


def _world(database: str | None, no_schema: bool) -> tuple[int, World | None]:
    """What to judge by, with its version: the newest captured one, a database as it is (version 0), or nothing."""
    if no_schema:
        return 0, None
    try:
        epoch, snapshot, lineage = known_schema(database)
    except NoSchema as error:
        raise CommandError(f"{error} --no-schema counts calls only.", returncode=_USAGE) from error
    return epoch, World(snapshot, lineage, {})
