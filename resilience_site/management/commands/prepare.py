"""``prepare``: what is due before this version serves, once for all hosts; with ``--wait``, until somebody has done it."""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any

import psycopg
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import Error, connection

from resilience_site import first_run
from resilience_site.config import Config, config
from resilience_site.target_setup import TargetError

LOOK_EVERY = 2.0
ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtext('mendgate.prepare'))"


class Command(BaseCommand):
    """Migrates the control database, sets up the target, reads its schema. Nothing happens where nothing is due; any number may run."""

    help = "Prepare both databases for this version (a deployment's migration job)."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """``--wait`` only looks."""
        parser.add_argument(
            "--wait", action="store_true", help="Change nothing: end as soon as the control database is as this version wants it."
        )

    def handle(self, *args: Any, wait: bool = False, **options: Any) -> None:
        """Ends with 1 and the fix where something cannot be done."""
        settings = config()
        if wait:
            self._wait()
            return
        try:
            self._prepare(settings)
        except (TargetError, psycopg.Error, Error) as error:
            raise CommandError(str(error).strip()) from None
        self.stdout.write("prepared")

    def _prepare(self, settings: Config) -> None:
        with psycopg.connect(settings.database_url, connect_timeout=10, application_name="mendgate prepare") as control:
            control.execute(ONE_AT_A_TIME)
            for line in first_run.prepare_databases(settings):
                self.stdout.write(line)
            call_command("capture_schema", verbosity=0, skip_checks=True, stdout=self.stdout)

    def _wait(self) -> None:
        said = ""
        while why_not := _not_prepared():
            if why_not != said:
                self.stdout.write(f"waiting: {why_not}")
                self.stdout.flush()
            said = why_not
            time.sleep(LOOK_EVERY)


def _not_prepared() -> str:
    """ "" when every migration that we know is applied. One that only a newer version knows is no obstacle: it was made to go along."""
    try:
        call_command("migrate", check_unapplied=True, verbosity=0, skip_checks=True)
    except SystemExit:
        return "migrations of this version are not applied yet (python manage.py prepare)"
    except Error as error:
        connection.close()  # else a lost one is asked again for ever
        return f"the control database does not answer: {(str(error).strip() or type(error).__name__).splitlines()[0]}"
    return ""
