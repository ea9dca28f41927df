"""``replay (--quarantine ID… | --rule ID | --all-waiting) [--wait] [--user NAME]``: runs kept writes again, in order, once each.

Whoever can run this command can read the database; ``--user`` only says whose name the audit keeps (default: ``command``).
"""

from __future__ import annotations

import time
from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError
from django.db.models import Count, QuerySet

from healing import draining, permits, replay_orders
from healing.management.refusing import RefusingCommand, found
from healing.models import QuarantineItem, Replay, Rule
from healing.replay_orders import OPERATOR


class Command(RefusingCommand):
    """Each write runs as the role and with the claims it came with."""

    help = "Replays quarantined writes."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Flags."""
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--quarantine", type=UUID, nargs="+", metavar="ID")
        what.add_argument("--rule", type=UUID, metavar="ID", help="Everything that waits for this rule.")
        what.add_argument("--all-waiting", action="store_true")
        parser.add_argument("--wait", action="store_true", help="Replay here and now, and wait for the end.")
        parser.add_argument("--user", help="Who asks for it.")

    def act(self, **options: Any) -> None:
        """Order, and with --wait work it off."""
        order = self._order(options)
        self.stdout.write(f"replay {order.pk} of {order.total} was ordered" if order else "nothing waits")
        if options["wait"]:
            all_items = QuarantineItem.objects
            asked = options["quarantine"]
            self._finish(all_items.filter(pk__in=asked) if asked else all_items.filter(replay=order) if order else all_items.none(), order)

    def _order(self, options: dict[str, Any]) -> Replay | None:
        user = permits.person(options["user"]) if options["user"] else OPERATOR
        if options["rule"]:
            replay_orders.require_operator(user)
            return replay_orders.order_for_cause(found(Rule, options["rule"]), asked_by=user.username)
        if options["all_waiting"]:
            return replay_orders.order_all_waiting(user)
        known = set(QuarantineItem.objects.filter(pk__in=options["quarantine"]).values_list("pk", flat=True))
        if missing := [str(pk) for pk in options["quarantine"] if pk not in known]:
            raise CommandError(f"There is no quarantined write {', '.join(missing)}.")
        return replay_orders.order_items(options["quarantine"], user)

    def _finish(self, items: QuerySet[QuarantineItem], order: Replay | None) -> None:
        """Drains this order here; a worker may take part."""
        while items.filter(state__in=["waiting", "replaying"], replay__state="running").exists():
            if draining.drain(order.pk if order else None) == 0:
                time.sleep(0.2)
        counts = dict(items.values_list("state").annotate(n=Count("pk")))
        self.stdout.write(", ".join(f"{n} {state}" for state, n in sorted(counts.items())))
        for item in items.exclude(last_error=None).exclude(state=QuarantineItem.State.REPLAYED)[:20]:
            error = item.last_error or {}
            self.stdout.write(f"  {item.pk} {item.state}: {error.get('code')} {error.get('message')}")
