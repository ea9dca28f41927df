"""``python manage.py optimize [--target rules]``: look at everything (or a part) now, and show how it goes."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from optimizer import experiments, runs
from optimizer.models import OptimizationRun
from optimizer.steps import TARGETS


class Command(BaseCommand):
    """Runs here, in this process; a run that another worker left unfinished is gone on with."""

    help = "Look for what could be better: rules, breakers, settings. Rules and breakers wait for a person; settings are tried."

    def add_arguments(self, parser: Any) -> None:
        """Which part."""
        parser.add_argument("--target", choices=TARGETS, default="all", help="default: all")

    def handle(self, *args: Any, **options: Any) -> None:
        """Asks, claims, carries out."""
        asked, new = runs.ask(options["target"], OptimizationRun.Reason.HAND, "command", rings=False)
        run = runs.claim(asked)
        if run is None:
            raise CommandError(
                f"A run of {asked.target} is under way since {asked.started_at or asked.created_at:%H:%M:%S}; see its log page."
            )
        self.stdout.write(f"run {run.pk} ({run.target}){'' if new else ', gone on with'}")
        run = runs.carry_out(run, told=self._tell)
        ended = experiments.look(timezone.now())
        self.stdout.write(f"{run.state}: {run.found} new proposals; {len(ended)} experiments ended")

    def _tell(self, run: OptimizationRun, step: str, said: str) -> None:
        self.stdout.write(f"  [{len(run.done)}/{len(run.steps)}] {step}: {said}")
