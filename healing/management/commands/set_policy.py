"""``set_policy --table T [--schema S] [--healing X] [--quarantine error|accept] [--strict/--no-strict] [--key NAME]``."""

from __future__ import annotations

from argparse import ArgumentParser, BooleanOptionalAction
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from healing.assist.configured import NOBODY, is_configured
from healing.models import ApiKey, Healing
from healing.policy import set_policy


class Command(BaseCommand):
    """What is not given stays as it was; running gateways use it within a moment."""

    help = "Sets what may be done to writes of a table, of a key, or everywhere."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Flags."""
        parser.add_argument("--table", default="", help="Empty = every table.")
        parser.add_argument("--schema", default="", help="Empty = every schema.")
        parser.add_argument("--healing", choices=Healing.values)
        parser.add_argument("--quarantine", choices=["error", "accept"])
        parser.add_argument("--strict", action=BooleanOptionalAction, default=None, help="Refuse what Postgres would store differently.")
        parser.add_argument(
            "--auto-certify",
            action=BooleanOptionalAction,
            default=None,
            help="Exact fixes with strong evidence become rules.",
        )
        parser.add_argument("--key", help="Name or prefix of an API key; empty = every caller.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Set and say."""
        if options["auto_certify"] and (options["key"] or not options["table"]):
            raise CommandError("Rules by themselves are for one table and every caller. Fix: give --table, and no --key.")
        policy = set_policy(
            options["table"], schema=options["schema"], key=_key(options["key"]), healing=options["healing"],
            quarantine=options["quarantine"], strict=options["strict"], auto_certify=options["auto_certify"],
        )  # fmt: skip
        certifies = "; exact fixes with strong evidence become rules" if policy.auto_certify else ""
        self.stdout.write(f"{policy}; quarantine {policy.quarantine}; {'strict' if policy.strict else 'not strict'}{certifies}")
        if policy.healing == Healing.ASSISTED and not is_configured():
            self.stderr.write(f"Warning: {NOBODY}")


def _key(name: str | None) -> ApiKey | None:
    if not name:
        return None
    found = list(ApiKey.objects.filter(prefix=name)) or list(ApiKey.objects.filter(name=name, revoked_at=None))
    if len(found) != 1:
        raise CommandError(f"{len(found)} keys are called {name!r}. Fix: give the 8 letters after mg_ instead.")
    return found[0]
