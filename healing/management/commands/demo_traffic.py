"""``demo_traffic``: tables of a dozen small applications in the embedded target, and writes to them, until SIGTERM.

``up --demo`` runs it as one more child.
"""

from __future__ import annotations

import random
import signal
import threading
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import httpx
import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand

from healing.demo import target
from healing.demo.stories import STORIES
from healing.demo.traffic import Traffic
from healing.keys_admin import create_key, rotate_key
from healing.models import ApiKey, Role

KEY = "demo traffic"


class Command(BaseCommand):
    """It makes and renames tables, so it only runs on a target of our own."""

    help = "Make demo tables in the embedded target and send healthy and drifted writes to them until stopped."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Flags."""
        parser.add_argument("--per-second", type=float, default=4.0, help="writes a second (default: 4, at most 50)")
        parser.add_argument("--seed", type=int, default=None, help="the same seed sends the same writes")

    def handle(self, *args: Any, **options: Any) -> None:
        """1. only on our own target, 2. wait for the gateway, 3. tables and a key, 4. send until told to stop."""
        told = threading.Event()
        for sign in (signal.SIGTERM, signal.SIGINT):
            signal.signal(sign, lambda *_: told.set())
        if not settings.MENDGATE.embedded_target:
            self._say("no traffic: the demo makes and renames tables, so it needs the embedded target (unset TARGET_DATABASE_URL)")
            told.wait()
            return
        with httpx.Client(base_url=settings.MENDGATE.base_url, timeout=10, trust_env=False) as client:
            while not told.is_set() and not _is_ready(client):
                told.wait(0.2)
            if not told.is_set():
                self._send(client, told, options)

    def _send(self, client: httpx.Client, told: threading.Event, options: dict[str, Any]) -> None:
        client.headers["apikey"] = _key()
        with psycopg.connect(_owner_url(), autocommit=True) as owner:
            stories = target.make_tables(owner, STORIES)
            if not stories:
                self._say("no traffic: all the demo's table names are taken by tables of your own")
                told.wait()
                return
            rate = min(max(options["per_second"], 0.1), 50.0)
            self._say(f"{rate:g} writes a second to {len(stories)} tables")
            Traffic(client, owner, stories, random.Random(options["seed"]), self._say).run(rate, told.is_set)  # noqa: S311  (no secret)

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _key() -> str:
    """A key of our own; an earlier run's gets a new text, because nobody kept the old one."""
    known = ApiKey.objects.filter(name=KEY, revoked_at=None).first()
    return rotate_key(known, "demo") if known else create_key(KEY, Role.SERVICE, who="demo")[0]


def _owner_url() -> str:
    return (Path(settings.MENDGATE.home) / "target.url").read_text("utf-8").strip()


def _is_ready(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").status_code == 200
    except httpx.HTTPError:
        return False
