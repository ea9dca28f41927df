"""Who may ask how much, what was used, and what it cost.

admission = await ledger.admit(caller, model, tokens, snapshot)     # AiError 429 where it is too much
…                                                                   # answer with admission.headers
await ledger.release(admission, usage)                              # in a finally: also where the call failed (``Usage()``)
ledger.record(call, snapshot)                                       # never blocks, never raises
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from math import ceil

from msgspec import Struct

from breakers.chance import identifier
from breakers.gateway.ai.budgets import Budgets, begin_of, today
from breakers.gateway.ai.call import Call, Notice, who_is
from breakers.gateway.ai.caller import AiCaller
from breakers.gateway.ai.errors import Headers
from breakers.gateway.ai.journal import Journal
from breakers.gateway.ai.limits import MICRO, Limits, Standing, Want
from breakers.gateway.ai.refusals import headers_of, refusal, warning
from breakers.gateway.ai.settings import AiSettings
from breakers.gateway.ai.snapshot import AiSnapshot, Allowance, Model
from breakers.gateway.ai.spend import Usage, cost_of, most_of
from breakers.gateway.ai.valkey import Valkey

log = logging.getLogger("mendgate.ai")

PLACE_WAIT = (0.02, 0.04, 0.08)
"""Seconds between tries for a place: a caller who asks again at the end of an answer is a moment before its place is given back."""
READ_WITHIN = 0.5
"""Seconds that the first caller with a budget waits for what was spent; then he is believed."""


class Admission(Struct, kw_only=True):
    """One call that was let in. ``headers`` go with its answer: ``x-ratelimit-*``, and a warning near the budget's end."""

    id: str = ""
    headers: Headers = ()
    who: str = ""
    model: Model | None = None
    want: Want | None = None
    """None: nothing limits this caller."""
    released: bool = False


class Ledger:
    """Of one process and event loop."""

    def __init__(self, settings: AiSettings) -> None:
        self._valkey = Valkey(settings.redis_url, "AI limits hold for each process by itself")
        self._limits = Limits(self._valkey, settings.namespace)
        self._budgets = Budgets()
        self._told = settings.told
        self.journal = Journal(settings, self._budgets)
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begins to send off what is recorded; needs neither database."""
        self.journal.start()
        self._tasks = [asyncio.create_task(self._limits.keep_renewing()), asyncio.create_task(self._valkey.open())]

    async def stop(self) -> None:
        """Sends off what is left."""
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task
        await self.journal.stop()
        await self._valkey.close()

    def free(self, caller: AiCaller, model: Model, snapshot: AiSnapshot, purpose: str = "edge") -> Admission | None:
        """The admission of a caller whom nothing limits; None = ask ``admit``. It saves looking what the call may cost."""
        who = who_is(caller.key, purpose)
        return Admission(who=who, model=model) if _allowance(snapshot, who) is None else None

    async def admit(
        self, caller: AiCaller, model: Model, tokens: int, snapshot: AiSnapshot, purpose: str = "edge", likely: int = 0
    ) -> Admission:
        """Lets a call in that may use ``tokens`` at most (what is sent and ``max_tokens`` together); ``likely`` where that has no bound:
        it counts for budgets. Raises ``AiError``."""
        who = who_is(caller.key, purpose)
        admission = Admission(id=identifier(), who=who, model=model)
        allowance = _allowance(snapshot, who)
        if allowance is None:
            return admission
        want = await self._want(admission, tokens, _most(model, max(tokens, likely), snapshot), allowance)
        standing = await self._ask(want)
        admission.headers = headers_of(allowance, standing)
        if standing.refused:
            self._tell(want, standing, refused=standing.refused == "budget")
            raise refusal(allowance, standing, want, admission.headers)
        if (warned := warning(allowance, standing)) is not None:
            self._tell(want, standing, refused=False)
            admission.headers = (*admission.headers, warned)
        admission.want = want
        return admission

    async def release(self, admission: Admission, usage: Usage, model: Model | None = None, lost: float = 0.0) -> None:
        """Gives its place back and settles what it really used, of the model that answered (None = as admitted); ``lost``: what attempts
        cost that came to nothing, in US dollars. Once; later calls are ignored."""
        if admission.released:
            return
        admission.released = True
        priced = model or admission.model
        cost = lost + (cost_of(priced, usage) if priced is not None else 0.0)
        self._budgets.add(admission.who, cost)
        if admission.want is not None:
            await self._limits.release(admission.want, usage.total, round(cost * MICRO))

    def record(self, call: Call, snapshot: AiSnapshot | None = None) -> None:
        """Notes a call's end. ``snapshot`` says whether bodies are stored."""
        self._told(call)
        self.journal.note(call, bodies=snapshot is not None and snapshot.log_bodies)

    async def _want(self, admission: Admission, tokens: int, most: float, allowance: Allowance) -> Want:
        want = Want(id=admission.id, who=admission.who, allowance=allowance, tokens=tokens, most=ceil(most * MICRO))
        if allowance.soft_usd is None and allowance.hard_usd is None:
            return want
        self._budgets.wanted = True
        if not self._budgets.known:
            await self.journal.know_spent(READ_WITHIN)
        want.hard = -1 if allowance.hard_usd is None else round(allowance.hard_usd * MICRO)
        want.spent = round(self._budgets.stored(admission.who, allowance.period) * MICRO)
        want.added = round(self._budgets.added(admission.who) * MICRO)
        want.era = begin_of(allowance.period, today()).isoformat()
        return want

    async def _ask(self, want: Want) -> Standing:
        standing = await self._limits.admit(want)
        for seconds in PLACE_WAIT:
            held = standing.refused == "budget" and want.spent + want.added < want.hard  # not spent: calls under way may cost it
            if standing.refused != "concurrency" and not held:
                break
            await asyncio.sleep(seconds)
            standing = await self._limits.admit(want)
        return standing

    def _tell(self, want: Want, standing: Standing, *, refused: bool) -> None:
        """A person is told once a period."""
        allowance = want.allowance
        budget = allowance.hard_usd if refused else allowance.soft_usd
        if budget is None or standing.spent < budget * MICRO:
            return
        begin = begin_of(allowance.period, today())
        kind = "hard" if refused else "soft"
        self.journal.tell(
            Notice(key=want.who, kind=kind, period=allowance.period, period_start=begin, spent=standing.spent / MICRO, budget=budget)
        )


def _most(model: Model, tokens: int, snapshot: AiSnapshot) -> float:
    """US dollars that ``tokens`` can cost, whoever of the chain answers."""
    chain = (model, *(snapshot.models[name] for name in model.fallbacks if name in snapshot.models))
    return max(most_of(each, tokens) for each in chain)


def _allowance(snapshot: AiSnapshot, who: str) -> Allowance | None:
    """What limits this caller; None = nothing."""
    found = snapshot.allowances.get(who) or snapshot.allowances.get("")
    return found if found is not None and _limits_anything(found) else None


def _limits_anything(allowance: Allowance) -> bool:
    money = allowance.soft_usd is not None or allowance.hard_usd is not None
    return money or bool(allowance.requests_per_minute or allowance.tokens_per_minute or allowance.concurrency)
