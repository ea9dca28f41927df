"""A game day, or a soak: traffic on a scratch Mendgate, faults by a plan, then everything is counted."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

from msgspec import Struct

from healing.core.ledger import Account, Found
from resilience_site.embedded_state import CONTROL
from resilience_site.gameday import account as accounts
from resilience_site.gameday.account import Part, Stretch, Try
from resilience_site.gameday.faults import FAULTS, Fault
from resilience_site.gameday.kinds import NAMES, Request
from resilience_site.gameday.load import Load, watch
from resilience_site.gameday.plan import Act
from resilience_site.gameday.stage import Stage
from resilience_site.gameday.traffic import Traffic

LAST_CALM = 3.0
SETTLED_SECONDS = 90.0


class Outcome(Struct, frozen=True):
    """All that is known afterwards. ``wrong``: what belongs to no stretch; ``load``: memory and connections over time."""

    seed: int
    seconds: float
    parts: list[Part]
    account: Account
    requests: dict[str, Request]
    tries: list[Try]
    reads: dict[str, int]
    lost: int
    doubled: int
    wrong: list[str]
    load: list[Load]
    load_wrong: list[str]
    scratch: str

    @property
    def unexplained(self) -> list[str]:
        """Every sentence, none where all held."""
        return [*self.wrong, *self.load_wrong, *(sentence for part in self.parts for sentence in part.wrong)]


async def conduct(
    stage: Stage, acts: Sequence[Act], *, seed: int, clients: int, pace: float, until: float, say: Callable[[str], None]
) -> Outcome:
    """1. traffic, 2. each act at its time, 3. no new requests, each is finished, 4. what waits is swept, 5. everything is counted.
    ``until``: seconds of traffic, at least."""
    rng = random.Random(f"faults {seed}")  # noqa: S311 - a plan to be repeated
    traffic = Traffic(stage.urls, stage.key, seed, clients, pace)
    running = asyncio.create_task(traffic.run())
    loads: list[Load] = []
    watching = asyncio.create_task(watch(stage, traffic.now, loads))
    marks: list[tuple[Act, float, float]] = []
    try:
        for act in acts:
            await asyncio.sleep(max(0.0, act.at - traffic.now()))
            marks.append(await _act(stage, act, rng, traffic, say))
        await asyncio.sleep(max(LAST_CALM, until - traffic.now()))
        traffic.stop()
        await running
    finally:
        for task in (running, watching):
            task.cancel()
        await asyncio.gather(running, watching, return_exceptions=True)
    took = traffic.now()
    await stage.ready()
    found = await _settled(stage)
    account = traffic.ledger.account(found)
    stretches = _stretches(marks, took)
    parts = accounts.parts_of(stretches, traffic.requests, traffic.tries, account)
    misreads = accounts.misreads(stretches, traffic.ledger.wants, traffic.looks)
    wrong = [*accounts.nobodys(traffic.requests, account), *misreads]
    system = (await stage.sql("SELECT system_identifier::text FROM pg_control_system()"))[0][0]
    return Outcome(
        seed, round(took, 1), parts, account, traffic.requests, traffic.tries, dict(traffic.reads),
        *accounts.lost_and_doubled(traffic.ledger.wants, found, account), wrong, loads,
        Load.wrong(loads, len(stage.webs)), system,
    )  # fmt: skip


async def _act(stage: Stage, act: Act, rng: random.Random, traffic: Traffic, say: Callable[[str], None]) -> tuple[Act, float, float]:
    fault, begun = FAULTS[act.fault], traffic.now()
    say(f"{begun:6.1f} s  {fault.title} ({act.lasts:.1f} s)")
    try:
        await fault.inject(stage, rng)
        await asyncio.sleep(act.lasts)
    finally:
        await fault.lift(stage, rng)
    return act, begun, traffic.now()


def _stretches(marks: Sequence[tuple[Act, float, float]], end: float) -> list[Stretch]:
    """Each from its fault's beginning to the next one's."""
    begins = [begun for _, begun, _ in marks] + [end + 1]
    calm = [Stretch("", 0.0, 0.0, begins[0])]
    return calm + [
        _stretch(FAULTS[act.fault], act.fault, begun, lifted, begins[number + 1]) for number, (act, begun, lifted) in enumerate(marks)
    ]


def _stretch(fault: Fault, name: str, begun: float, lifted: float, until: float) -> Stretch:
    return Stretch(name, round(begun, 3), round(lifted, 3), round(until, 3), fault.harmless, fault.unkept, fault.refuses)


async def _settled(stage: Stage) -> Found:
    """What is there once nothing is under way: no write waits for the worker, no backend writes."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SETTLED_SECONDS):
            await stage.manage("shell", "-v", "0", "-c", "from healing.jobs import sweep; sweep()")
            while (await stage.sql(_BUSY, CONTROL))[0][0]:  # noqa: ASYNC110 - other processes, no event to wait for
                await asyncio.sleep(0.5)
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    for table in NAMES:
        for mark, count in await stage.sql(f"SELECT mark, count(*) FROM {table} WHERE mark IS NOT NULL GROUP BY 1"):  # noqa: S608
            rows[mark][table] += count
    waiting, replayed = Counter[str](), Counter[str]()
    for item, mark, state in await stage.sql(_KEPT, CONTROL):
        (replayed if state == "replayed" else waiting)[mark or f"item {item}"] += 1
    return Found(rows, waiting, replayed)


_BUSY = "SELECT count(*) FROM healing_quarantineitem WHERE state = 'replaying'"
_KEPT = "SELECT id::text, idempotency_key, state FROM healing_quarantineitem WHERE state <> 'discarded'"
