"""Carries out the plan of attempts: breakers are asked, providers are called, keys are cooled and retired."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable

from msgspec import Struct

from breakers.chance import random
from breakers.core.ai.asked import Asked, outgoing
from breakers.core.ai.budget import RetryBudget
from breakers.core.ai.plan import Deployment, GaveUp, Report, Served, Terms, Try, Wait, cooling, place, plan
from breakers.core.ai.standing import Standing
from breakers.core.ai.verdict import OK, Kind, Verdict
from breakers.core.types import Outcome
from breakers.gateway.ai.chain import deployments
from breakers.gateway.ai.crowd import Crowd
from breakers.gateway.ai.doubts import Doubts
from breakers.gateway.ai.gates import Gates
from breakers.gateway.ai.journal import Attempt
from breakers.gateway.ai.snapshot import AiSnapshot, Model
from breakers.gateway.ai.turns import Turns
from breakers.gateway.ai.upstream import Begun, Body, Outgoing, Upstream
from breakers.permits import Permit
from breakers.refusal import Open

FAILURES = frozenset({Kind.FAILURE, Kind.TIMEOUT})
_WORD = {Kind.OK: "ok", Kind.REFUSED: "refused"}


class Order(Struct, frozen=True, kw_only=True):
    """One request to be routed. ``attempts`` is added to; ``deadline`` by ``time.monotonic``."""

    asked: Asked
    model: Model
    snapshot: AiSnapshot
    deadline: float
    attempts: list[Attempt]


class Got(Struct, frozen=True, kw_only=True):
    """An answer, or the beginning of one: then ``permit`` is open until the stream's end."""

    model: Model
    answer: Body | Begun
    permit: Permit
    attempt: Attempt
    fallback: bool
    seconds: float
    """until the first valid content."""


class Router:
    """One per process. ``retire`` is told of keys that were refused, ``used`` of those that work."""

    def __init__(
        self,
        upstream: Upstream,
        gates: Gates,
        turns: Turns,
        retire: Callable[[str, str], None],
        used: Callable[[str], None],
        tuned: Callable[[str, float], float] = lambda name, own: own,
    ) -> None:
        self._upstream, self._gates, self._turns, self._used = upstream, gates, turns, used
        self._doubts = Doubts(upstream, retire)
        self._tuned = tuned
        self._standing, self._budget = Standing(gates.pause), RetryBudget()
        self._rows: AiSnapshot | None = None
        self._chains: dict[str, list[Deployment]] = {}
        """of these rows, by model."""
        self._lifted: dict[str, int] = {}
        self._uncounted: set[str] = set()
        """providers that refuse ``stream_options``."""
        self._crowds: defaultdict[str, Crowd] = defaultdict(Crowd)

    def anyone_answered(self, seconds: float) -> bool:
        """Whether some provider has answered so lately."""
        return any(crowd.answered_within(seconds) for crowd in self._crowds.values())

    async def route(self, order: Order) -> Got | GaveUp:
        """An answer from the first that has one."""
        now = time.monotonic()
        snapshot = order.snapshot
        if snapshot is not self._rows:  # rows have changed: who was retired stands there
            self._rows, self._chains = snapshot, {}
            self._doubts.forget()
            self._standing.reinstate(set())
            self._lift(snapshot)
        self._budget.called(now)
        terms = Terms(
            deadline=order.deadline,
            streamed=order.asked.stream or order.asked.endpoint != "chat/completions",
            may_retry=lambda at: self._budget.take(at, self._tuned("ai_retry_ratio", snapshot.retry_ratio), snapshot.retry_floor),
            chance=random,
        )
        steps = plan(self._chain(order), self._standing, terms, now)
        got: Got | None = None
        report: Report | None = None
        while True:
            try:
                step = steps.send(report) if report is not None else next(steps)
            except StopIteration as end:
                ended: Served | GaveUp = end.value
                break
            if isinstance(step, Wait):
                await asyncio.sleep(step.seconds)
                verdict = None
            else:
                verdict, got = await self._try(step, order)
            report = Report(verdict, time.monotonic())
            if got is None:
                await self._turns.go_on()
        if isinstance(ended, GaveUp):
            return ended
        assert got is not None
        return got

    def _lift(self, snapshot: AiSnapshot) -> None:
        """Keys that a person wants used at once."""
        keys = [each for provider in snapshot.providers.values() for each in provider.credentials]
        for key in (each for each in keys if each.lifted > self._lifted.get(each.id, 0)):
            self._lifted[key.id] = key.lifted
            self._standing.lift(key.id)
            self._gates.lift(key.id, key.lifted)

    def _chain(self, order: Order) -> list[Deployment]:
        found = self._chains.get(order.model.name)
        if found is None:
            found = self._chains[order.model.name] = deployments(order.snapshot, order.model)
        return found

    async def _try(self, step: Try, order: Order) -> tuple[Verdict, Got | None]:
        to = step.deployment
        attempt = Attempt(provider=to.provider, model=to.model, credential=step.key, outcome="cancelled")
        paused = self._gates.paused(place(to, step.key))
        if paused > 0:
            return cooling(paused), None
        order.attempts.append(attempt)
        if not self._gates.get(f"ai:{to.provider}").allow():  # it is known already: nobody needs to find out
            return await self._ask(step, order, attempt)
        crowd = self._crowds[to.provider]
        entered = await crowd.enter()
        try:
            return await self._ask(step, order, attempt)
        finally:
            crowd.leave(entered)

    async def _ask(self, step: Try, order: Order, attempt: Attempt) -> tuple[Verdict, Got | None]:
        to = step.deployment
        try:
            permit = await self._gates.get(f"ai:{to.provider}").aacquire()
        except Open as refused:
            attempt.outcome, attempt.reason = "refused", "its breaker is open"
            return Verdict(kind=Kind.REFUSED, reason=str(refused), retry_after=refused.retry_after), None
        started = time.monotonic()
        try:
            counted = to.provider not in self._uncounted
            answer = await self._upstream.ask(self._outgoing(step, order, counted=counted), step.patience)
            if counted and isinstance(answer, Verdict) and _may_refuse_count(answer, order):
                left = step.patience - (time.monotonic() - started)
                answer = await self._upstream.ask(self._outgoing(step, order, counted=False), left)
                if not isinstance(answer, Verdict):  # else it was something else that it refused
                    self._uncounted.add(to.provider)
        except BaseException:
            permit.close()
            raise
        finally:
            attempt.seconds = time.monotonic() - started
        verdict = answer if isinstance(answer, Verdict) else OK
        attempt.outcome, attempt.reason = _WORD.get(verdict.kind, "failed"), verdict.reason
        if isinstance(answer, Verdict):
            self._learn(step, verdict, permit, attempt.seconds)
            return await self._doubts.settled(step, verdict, order.snapshot, order.deadline), None
        self._works(to, step.key)
        if isinstance(answer, Body):
            permit.settle(Outcome.OK)
        model = order.snapshot.models[to.model]
        fallback = model.name != order.model.name
        return verdict, Got(model=model, answer=answer, permit=permit, attempt=attempt, fallback=fallback, seconds=attempt.seconds)

    def _outgoing(self, step: Try, order: Order, *, counted: bool) -> Outgoing:
        model = order.snapshot.models[step.deployment.model]
        provider = order.snapshot.providers[model.provider]
        return Outgoing(
            provider=provider,
            credential=next((each for each in provider.credentials if each.id == step.key), None),
            endpoint=order.asked.endpoint,
            body=outgoing(order.asked, model.upstream, counted=counted),
            streamed=order.asked.stream,
            hide_usage=not order.asked.wants_usage,
        )

    def _learn(self, step: Try, verdict: Verdict, permit: Permit, seconds: float) -> None:
        if verdict.kind in FAILURES:
            permit.settle(Outcome.FAILURE, seconds, verdict.reason)
            return
        permit.close()

    def _works(self, to: Deployment, key: str) -> None:
        self._standing.answered(place(to, key))
        self._crowds[to.provider].answered()
        if key:
            self._used(key)


def _may_refuse_count(verdict: Verdict, order: Order) -> bool:
    """Whether it may be only our wish for the usage that the provider refused."""
    ours = order.asked.stream and "stream_options" not in order.asked.fields
    return verdict.kind is Kind.CALLER and ours and b"stream_options" in verdict.body
