"""``gameday``: faults on purpose on a scratch Mendgate, and a signed report that accounts for every request."""

from __future__ import annotations

import json
import random
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.db import Error

from healing.models import GameDay
from healing.refusals import Refused
from resilience_site.config import Config, config
from resilience_site.embedded_server import EmbeddedError
from resilience_site.gameday import day, rows, signing
from resilience_site.gameday.allowed import why_not
from resilience_site.gameday.faults import FAULTS
from resilience_site.gameday.stage import StageError
from resilience_site.private_files import write_private


class Command(BaseCommand):
    """Ends with 1 where a promise broke."""

    help = "Break a scratch Mendgate in chosen ways and account for every request (never in production)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Which faults; or only look: ``--list``, ``--verify``."""
        parser.add_argument("--faults", nargs="+", default=list(FAULTS), choices=list(FAULTS), metavar="FAULT", help="Default: every one.")
        parser.add_argument("--seed", type=_seed, help="Sends and breaks the same again.")
        parser.add_argument("--out", type=Path, help="Where the signed report goes (default: MENDGATE_HOME/gamedays/).")
        parser.add_argument("--user", default="command line", help="Who asks, for the record.")
        parser.add_argument("--lasts", type=_share, default=1.0, help="How long faults last, against what is usual: up to 30.")
        parser.add_argument("--list", action="store_true", help="Say which faults there are.")
        parser.add_argument("--verify", type=Path, metavar="FILE", help="Check a report's signature.")
        parser.add_argument("--key", help="With --verify: the public key to trust, instead of this installation's.")
        parser.add_argument("--run", type=UUID, help="Carry out one that was asked for in the dashboard (its id).")

    def handle(self, *args: Any, **options: Any) -> None:
        """Parse, call, say."""
        settings = config()
        if options["list"]:
            for name, fault in FAULTS.items():
                self.stdout.write(f"{name:16} {fault.title}: {fault.must}")
        elif options["verify"]:
            self._verify(options["verify"], options["key"], settings)
        elif (why := why_not(settings)) != "":
            raise CommandError(why)
        else:
            self._hold(settings, **options)

    def _verify(self, path: Path, key: str | None, settings: Config) -> None:
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{path} cannot be read: {error}") from None
        trusted = {key.lower()} if key else {signing.public_key(each) for each in (settings.secret_key, *settings.secret_key_fallbacks)}
        if (fault := signing.fault_of(text, trusted)) != "":
            raise CommandError(fault)
        whole = json.loads(text)
        key, report = whole["signature"]["key"], whole["report"]
        said = f"The signature holds ({signing.ALGORITHM}, key {key[:16]}…): game day"
        try:
            told = f"{report['id']} of {report['began']} {report['verdict']}, {report['requests_sent']} requests, {report['unexplained']}"
        except (KeyError, TypeError):
            raise CommandError(f"The signature holds (key {key[:16]}…), but of what is no report of a game day.") from None
        self.stdout.write(f"{said} {told} unexplained.")

    def _hold(self, site: Config, *, faults: list[str], seed: int | None, user: str, run: UUID | None, **options: Any) -> None:
        if (out := options["out"]) is not None and (out.is_dir() or not out.parent.is_dir()):
            raise CommandError(f"--out {out}: there is no directory {out.parent}." if not out.is_dir() else f"--out {out} is a directory.")
        row = self._row(faults, seed, user, run)
        try:
            with ThreadPoolExecutor(1) as aside:  # faults come in a loop, where Django's database must not be asked
                say = self._say(row, aside)
                report = day.hold(row.faults, number=str(row.pk), by=row.asked_by, seed=row.seed, say=say, lasts=options["lasts"])
        except (StageError, EmbeddedError, OSError, RuntimeError, Error, ExceptionGroup) as error:
            why = str(error)
            self._kept(lambda: rows.fail(row, why))
            raise CommandError(f"The game day could not be carried out: {why}") from None
        except BaseException:
            self._kept(lambda: rows.fail(row, "It was broken off."))
            raise
        signed = signing.signed(report, site.secret_key)
        self._kept(lambda: rows.finish(row, report, signed))
        self._summary(report, self._written(out or site.home / "gamedays" / f"{row.pk}.json", signed))
        if report["verdict"] != "held":
            sys.exit(1)

    def _written(self, path: Path, signed: str) -> Path:
        try:
            if path.parent.name == "gamedays":
                path.parent.mkdir(mode=0o700, exist_ok=True)
            write_private(path, signed + "\n")
        except OSError as error:
            self.stderr.write(f"The report cannot be written: {error}. Its page in the dashboard has it, if the control database took it.")
        return path

    def _row(self, faults: list[str], seed: int | None, user: str, run: UUID | None) -> GameDay:
        """Of the dashboard's asking, or a new one; unsaved where the control database is away."""
        chance = random.SystemRandom().randrange(10**6) if seed is None else seed
        try:
            claimed = rows.claim(str(run) if run else str(rows.enter(user[:150], faults, chance).pk))
        except Refused as error:
            raise CommandError(f"{error.message} {error.hint or ''}".strip()) from None
        except Error as error:
            if run is not None:
                raise CommandError(f"The control database is away: {error}") from None
            self.stderr.write("The control database is away (make up starts it): the report will only be a file.")
            return GameDay(asked_by=user, faults=faults, seed=chance)
        if claimed is None:
            raise CommandError("This game day is carried out already, or was.")
        return claimed

    def _say(self, row: GameDay, aside: Executor) -> Callable[[str], None]:
        def say(line: str) -> None:
            self.stdout.write(line)
            self.stdout.flush()
            if not row._state.adding:
                aside.submit(self._kept, lambda: rows.tell(row, line))

        return say

    def _kept(self, write: Callable[[], None]) -> None:
        """What cannot be written into the control database is in the file all the same."""
        try:
            write()
        except Error as error:
            self.stderr.write(f"The control database does not take it: {error}")

    def _summary(self, report: dict[str, Any], path: Path) -> None:
        for each in report["faults"]:
            ends = ", ".join(f"{count} {end}" for end, count in sorted(each["ends"].items()))
            self.stdout.write(
                f"{each['verdict']:6} {each['title']}: {each['requests']} requests: {ends}; {each['troubled']} tries troubled"
            )
            for wrong in each["wrong"][:10]:
                self.stdout.write(f"       {wrong}")
        for wrong in report["wrong"][:10]:
            self.stdout.write(f"       {wrong}")
        self.stdout.write(
            f"{report['requests_sent']} requests in {report['seconds']} s (seed {report['seed']}): {report['lost']} lost, "
            f"{report['doubled']} doubled, {report['unexplained']} unexplained. Signed report: {path}"
        )


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**63:
        raise ArgumentTypeError(f"{text!r} is no whole number from 0 to {2**63 - 1}")
    return int(text)


def _share(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found <= 30:
        raise ArgumentTypeError(f"{text!r} is no number above 0 and up to 30")
    return found
