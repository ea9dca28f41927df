"""One asking about one cause: look at a kept write, ask, read and check the answer, try it on every kept write of the cause.

Nothing is written anywhere: trials are rolled back, what was found is returned for ``outcome`` to write down.
"""

from __future__ import annotations

import time
from typing import Any

import msgspec
from django.conf import settings
from msgspec import Struct

from breakers.gateway.ai.ask import Answered, Asker
from healing.assist.known import Known
from healing.core import fixes, match
from healing.core.assist import Agreement, Proof, agree, answer_schema, check, choices, facts_of, messages, most_tokens, read_answer
from healing.core.assist.redact import is_name
from healing.core.signature import joined
from healing.core.types import Misfit
from healing.gateway.assisted import made
from healing.gateway.replay import Opened, open_item
from healing.gateway.services import Services
from healing.gateway.settings import current
from healing.gateway.trial import Tried, reaches_out, try_item

MOST_ASK_SECONDS = 120.0
TRY_SECONDS = 60.0
MOST_LOOKED_AT = 3


class Finding(Struct, kw_only=True):
    """What came out. ``stop`` is the verdict where there is no fix to judge, with ``why``."""

    stop: str = ""
    why: str = ""
    answered: Answered | None = None
    asked: bool = False
    seconds: float = 0.0
    ops: tuple[fixes.Fix, ...] = ()
    misfits: tuple[Misfit, ...] = ()
    bound: dict[str, Any] = {}
    agreement: Agreement = Agreement("silent", 0.0, 0.0)
    proof: Proof = Proof()


async def inquire(schema: str, table: str, signature: str, run: str, known: Known) -> Finding:
    """Carries one asking out. Raises ``Unanswered`` where nobody answers, and what the databases raise."""
    services = Services(current())
    await services.open(background=False)
    try:
        return await _Inquiry(services, (schema, table, signature, run), known).go()
    finally:
        await services.close()


class _Inquiry:
    def __init__(self, services: Services, place: tuple[str, str, str, str], known: Known) -> None:
        self.services, self.place, self.known = services, place, known
        self.finding = Finding()

    async def go(self) -> Finding:
        """Step by step; each may end it."""
        seen = await self._look()
        if seen is None:
            return self._stop("not needed", "nothing waits for this reason any more")
        opened, tried = seen
        self.finding.misfits = tried.misfits
        if not await self._answer(opened, tried):
            return self.finding
        ops, snapshot = self.finding.ops, self.services.state.snapshot
        if faults := check(ops, tried.statement, tried.misfits, tried.relation, snapshot):
            return self._stop("invalid", f"the answer does not fit: {len(faults)} faults, the first: {_short(faults[0])}")
        self._compare(opened, tried)
        await self._prove(tried)
        return self.finding

    async def _look(self) -> tuple[Opened, Tried] | None:
        """A kept write that still does not fit for this reason, and what is wrong with it."""
        looked = 0
        for pk in self.known.items:
            if looked == MOST_LOOKED_AT:
                break
            if (opened := await open_item(self.services, pk)) is None:
                continue
            looked += 1
            tried = await try_item(self.services, opened, None)
            if tried.misfits and joined([misfit.signature for misfit in tried.misfits]) == self.place[2]:
                return opened, tried
        return None

    async def _answer(self, opened: Opened, tried: Tried) -> bool:
        if self.known.fix is not None:
            self.finding.ops = fixes.parse(self.known.fix)
            return True
        state = self.services.state
        claims = [name for name, value in opened.caller.claims.items() if is_name(name) and isinstance(value, str)]
        found = choices(tried.statement, tried.misfits, tried.relation, state.snapshot, claims)
        if {choice.misfit for choice in found} < {misfit.signature for misfit in tried.misfits}:
            self._stop("abstained", "the fix language has nothing to say about a part of it")
            return False
        facts = facts_of(
            tried.statement,
            tried.misfits,
            tried.relation,
            state.snapshot,
            found,
            lineage=state.lineage,
            examples=self.known.examples,
        )
        schema, parts = answer_schema(found, facts.names, tried.misfits), self.known.parts
        tokens = most_tokens(parts, len(tried.misfits))
        async with Asker(current().ai) as asker:
            started = time.monotonic()
            told, within = messages(parts, facts), _patience()
            answered = await asker.ask(told, schema=schema, deadline=within, max_tokens=tokens, temperature=parts.temperature)
        self.finding.asked, self.finding.answered, self.finding.seconds = True, answered, time.monotonic() - started
        said = read_answer(answered.content, found, facts.names, tried.misfits)
        if not said.ops:
            self._stop("invalid" if said.invalid else "abstained", said.why)
        self.finding.ops = said.ops
        return bool(said.ops)

    def _compare(self, opened: Opened, tried: Tried) -> None:
        """With the matcher, which was told nothing of the answer, as the model was told nothing of the matcher."""
        state = self.services.state
        claims, lineage = opened.caller.claims, state.lineage
        proposals = match.propose(tried.statement, tried.misfits, tried.relation, state.snapshot, claims=claims, lineage=lineage)
        self.finding.agreement = agree(self.finding.ops, proposals, self.known.trust)

    async def _prove(self, tried: Tried) -> None:
        relation, more = tried.relation, self.known.more + len(self.known.items)
        if relation is None:
            self.finding.proof = Proof(more=more, why="a fix for an unknown table is not tried")
            return
        self.finding.bound = {"oid": relation.oid, "columns": fixes.bound_columns(self.finding.ops, relation)}
        if outside := await reaches_out(self.services, relation):
            self.finding.proof = Proof(more=more, why=outside)
            return
        self.finding.proof = await self._try_all()

    async def _try_all(self) -> Proof:
        """Every kept write, each in a transaction of its own that is rolled back; one is held in memory at a time, however many wait."""
        schema, table, signature, run = self.place
        fix = fixes.dump(self.finding.ops)
        assisted = made(run, schema, table, signature, fix, self.finding.bound, {})
        number, landed, why, until = 0, 0, "", time.monotonic() + TRY_SECONDS
        for place, pk in enumerate(self.known.items):
            if time.monotonic() > until:
                return Proof(number, landed, self.known.more + len(self.known.items) - place, why or "trying took too long")
            if (opened := await open_item(self.services, pk)) is None:
                continue  # settled meanwhile
            tried = await try_item(self.services, opened, assisted)
            number += 1
            landed += tried.clean
            why = why or ("" if tried.clean else tried.why)
        return Proof(number, landed, self.known.more, why or ("too many writes wait to try all" if self.known.more else ""))

    def _stop(self, verdict: str, why: str) -> Finding:
        self.finding.stop, self.finding.why = verdict, why
        return self.finding


def _patience() -> float:
    """Seconds that a model has; ASSIST_SECONDS sets them, below the lease."""
    return min(float(settings.ASSIST_SECONDS), MOST_ASK_SECONDS)


def _short(fault: str) -> str:
    """A fault without what it may quote of a payload's value."""
    return "a value does not fit its column" if any(word in fault for word in (" does not fit", " is not ")) else fault[:120]


def plain_json(value: Any) -> Any:
    """Through JSON, so that Django's JSON columns take it."""
    return msgspec.json.decode(msgspec.json.encode(value))
