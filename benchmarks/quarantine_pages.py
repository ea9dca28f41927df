"""The pages of the quarantine with 100,000 kept writes, before, during and after their replay: ``python -m benchmarks.quarantine_pages``.

Each page is asked for a few times; the median is told, and the slowest decides. Then what a person does to all of them at once.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time

from benchmarks import poison
from benchmarks.figures import figure
from benchmarks.web_process import OPERATOR, web_process
from tests.gateway_process import Gateway

ROUNDS = 5
AIM = 0.3
PAGES = (
    "quarantineitem/", "quarantineitem/?p=90", "quarantineitem/?p=190", "quarantineitem/?state__exact=waiting",
    "quarantineitem/?state__exact=parked",
    "quarantineitem/?table=notes&p=40", "quarantineitem/?role=authenticated", "quarantineitem/?q=hue", "quarantineitem/?q=no-such-word",
    "quarantineitem/?o=3", "quarantineitem/causes/", "quarantineitem/<item>/change/", "replay/", "replay/<order>/change/",
    "replay/<order>/progress/",
)  # fmt: skip


def main() -> int:
    """Prints each page's time; 1 where one is over the aim."""
    parser = argparse.ArgumentParser(description="The quarantine's pages with very many writes.")
    parser.add_argument("--rows", type=int, default=100_000)
    options = parser.parse_args()
    with web_process() as gateway:
        gateway.sql(poison.TABLES)
        gateway.manage("capture_schema")
        poison.keep(gateway, options.rows)
        gateway.manage("createsuperuser", "--noinput", "--username", OPERATOR, "--email", "bench@example.com")
        found = asked(gateway, "waiting")
        act(gateway, "ordered", "replay", "--all-waiting")
        found |= asked(gateway, "ordered")
        gateway.control("UPDATE healing_quarantineitem SET state = 'replayed', replayed_at = now() WHERE number % 2 = 0")
        found |= asked(gateway, "half replayed")
        act(gateway, "discarded", "shell", "-c", f"from benchmarks.quarantine_pages import discard; discard('{OPERATOR}')")
    for what, seconds in found.items():
        print(f"{what:60}{seconds * 1e3:8.0f} ms")
    slowest = max(found, key=lambda what: found[what])
    figure(f"slowest page of the quarantine, {options.rows:,} writes", f"{found[slowest] * 1e3:.0f} ms", "< 300 ms", found[slowest] < AIM)
    return int(found[slowest] >= AIM)


def asked(gateway: Gateway, when: str) -> dict[str, float]:
    """The pages' medians, in seconds."""
    told = gateway.manage("shell", "-c", "from benchmarks.quarantine_pages import ask; ask()").strip().splitlines()[-1]
    return {f"{when}: {page}": seconds for page, seconds in json.loads(told).items()}


def act(gateway: Gateway, what: str, *words: str) -> None:
    """Something done to all of them, by a command."""
    began = time.monotonic()
    gateway.manage(*words)
    print(f"{what} in {time.monotonic() - began:.1f} s, with the start of the command", flush=True)


def ask() -> None:
    """Asks for each page and prints the seconds as JSON. Runs within ``manage.py shell``."""
    from django.contrib.auth.models import User
    from django.test import Client

    from healing.models import QuarantineItem, Replay

    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(User.objects.get(username=OPERATOR))
    item, order = QuarantineItem.objects.order_by("-number")[:1].get(), Replay.objects.first()
    client.get("/admin/login/")
    found = {}
    for page in PAGES:
        if order is None and "<order>" in page:
            continue
        url = "/admin/healing/" + page.replace("<item>", str(item.pk)).replace("<order>", str(order.pk if order else ""))
        took = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            answer = client.get(url)
            took.append(time.perf_counter() - began)
            assert answer.status_code == 200, (url, answer.status_code)
        found[page] = statistics.median(took)
    print(json.dumps(found))


def discard(name: str) -> None:
    """Gives up on all that waits. Runs within ``manage.py shell``."""
    from django.contrib.auth.models import User

    from healing import causes, quarantine

    (cause,) = causes.waiting_causes()
    quarantine.discard(causes.ids_of(cause.schema, cause.table, cause.signature), User.objects.get(username=name), "measured")


if __name__ == "__main__":
    sys.exit(main())
