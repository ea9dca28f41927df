"""Sends the demo's writes through the data API: most fit, some are in an older or another spelling, some fit nothing; now and then
the schema changes under them, and once a person approves a fix."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import zip_longest
from random import Random
from typing import Any

import httpx
import psycopg
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission

from healing import approval
from healing.demo import target
from healing.demo.stories import Row, Story
from healing.models import QuarantineItem

SHARES = (("fits", 0.72), ("known", 0.14), ("odd", 0.14))
FIRST_CHANGES, SECONDS_BETWEEN, LATER = 9, 15.0, 300.0
"""The first few changes of the schema come quickly, so that there is something to see; then one in five minutes."""
APPROVE_AFTER = 15.0
REVIEWER = "demo-reviewer"
APPROVED = ("orders", "unknown_column:order_total", [{"op": "rename_column", "from": "order_total", "to": "total"}])


class Traffic:
    """``run`` until ``stopping()``. ``owner`` is the target as the owner of the demo's tables, in autocommit."""

    def __init__(
        self, client: httpx.Client, owner: psycopg.Connection, stories: Sequence[Story], rng: Random, say: Callable[[str], None]
    ) -> None:
        self.client, self.owner, self.stories, self.rng, self.say = client, owner, stories, rng, say
        self.changes, self.approved = 0, False

    def run(self, per_second: float, stopping: Callable[[], bool]) -> None:
        """A bounded rate: a slow server slows us down, and nothing is caught up."""
        began = time.monotonic()
        next_change = began + SECONDS_BETWEEN
        while not stopping():
            self.send_one()
            now = time.monotonic()
            if now >= next_change:
                self.change_one()
                next_change = now + (SECONDS_BETWEEN if self.changes < FIRST_CHANGES else LATER)
            if not self.approved and now - began > APPROVE_AFTER:
                self.approved = approve_one()
            time.sleep(self.rng.uniform(0.5, 1.5) / per_second)

    def send_one(self) -> int:
        """One write; its status, 0 where nobody answered."""
        table, row = self.pick()
        headers = {"Prefer": "quarantine=accept"} if self.rng.random() < 0.5 else {}
        try:
            return self.client.post(f"/rest/v1/{table}", json=row, headers=headers).status_code
        except httpx.HTTPError:
            return 0  # it is being restarted: go on

    def pick(self) -> tuple[str, Row]:
        """A story, and one of its payloads. The table goes by its first name, whatever it is called now."""
        story = self.rng.choice(self.stories)
        (kind,) = self.rng.choices([name for name, _ in SHARES], [share for _, share in SHARES])
        makers = {"fits": (story.fits,), "known": story.known, "odd": story.odd}[kind] or (story.fits,)
        return story.table, self.rng.choice(makers)(self.rng)

    def change_one(self) -> None:
        """A migration behind everybody's back: renames, and between them something that comes and goes."""
        moves = list(_moves(self.stories))
        if moves and (done := target.swing(self.owner, moves[self.changes % len(moves)])):
            self.say(f"migrated: {done}")
        self.changes += 1


def _moves(stories: Sequence[Story]) -> Iterator[tuple[str, str]]:
    alters = [move for story in stories if (move := story.alter) for _ in range(2)]  # there, and back
    renames = [move for story in stories if (move := story.rename)]
    for pair in zip_longest(renames, alters):
        yield from (move for move in pair if move)


def approve_one() -> bool:
    """Approves one known fix as a reviewer who cannot log in, once a write waits for it; True when it is done."""
    table, signature, fix = APPROVED
    if not QuarantineItem.objects.filter(table=table, signature=signature).exists():
        return False
    approval.approve(approval.write("public", table, signature, fix, _reviewer()), _reviewer(), "the demo's example")
    return True


def _reviewer() -> Any:
    user, made = get_user_model()._default_manager.get_or_create(username=REVIEWER)
    if made:
        user.set_unusable_password()
        user.save()
        user.user_permissions.add(Permission.objects.get(content_type__app_label="healing", codename="change_proposal"))
    return user
