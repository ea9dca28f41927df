"""Counting for callers that hold no state: their permits and reports, on the shared breakers, under the caller's own source.

A permit needs a token only where it is a trial (half-open). A trial's lease ends by itself, so a caller that is never heard of again
holds nothing for long. Where Valkey is away this process counts alone, tokens are known to it alone, and calls go on.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress

from breakers.chance import random
from breakers.core.redact import redact
from breakers.core.types import Standing, State, View
from breakers.gateway.edge_errors import EdgeError, bad_input
from breakers.gateway.edge_held import Held
from breakers.gateway.edge_names import MOST, Made, Wishes, full
from breakers.gateway.edge_report import Report
from breakers.gateway.edge_rights import Caller, owner
from breakers.gateway.edge_seen import Seen
from breakers.gateway.edge_shared import Away, Shared
from breakers.gateway.edge_values import COUNTED, LATE, NOTHING, REPEATED, Batched, Granted, batched
from breakers.registry import Breaker, Open, Registry
from breakers.shared.scripts import Asker, Command, command, standing, trial


class Counting:
    """One per process."""

    def __init__(self, registry: Registry, shared: Shared) -> None:
        self._registry, self._shared = registry, shared
        self._made, self._seen, self._held = Made(shared), Seen(shared), Held()
        self._begun: set[str] = set()

    async def views(self, *, anew: bool = False) -> list[View]:
        """Every breaker of this process, and those that callers made elsewhere (as of a moment ago, unless ``anew``)."""
        made = await self._made.everywhere(anew=anew)
        await self._begin(made)
        return self._registry.views()

    async def acquire(self, caller: Caller, name: str, wishes: Wishes, source: str) -> Granted:
        """Whether this caller may make one call now. Raises ``EdgeError``."""
        breaker = await self._admitted(caller, name, wishes)
        if breaker.view().state is State.HALF_OPEN:
            try:
                return await self._trial(breaker, source)
            except Away:
                pass
        try:
            permit = await breaker.aacquire()
        except Open as refused:
            return Granted(False, refused.state, breaker.version, retry_after_ms=max(1, int(refused.retry_after * 1000)), why=refused.why)
        lease = breaker.settings.permit_seconds
        token = self._held.keep(permit, lease)
        return Granted(True, breaker.view().state, breaker.version, token, int(lease * 1000) if token else 0)

    async def report(self, caller: Caller, source: str, items: Sequence[Report | EdgeError]) -> list[str | EdgeError]:
        """Counts what is fresh and sound; what became of each item, in order."""
        found: list[str | EdgeError] = [each if isinstance(each, EdgeError) else REPEATED for each in items]
        sound: list[tuple[int, Report, Breaker]] = []
        for place, item in enumerate(items):
            if isinstance(item, Report):
                try:
                    sound.append((place, item, await self._admitted(caller, item.name, {})))
                except EdgeError as error:  # not marked as seen: it may come again
                    found[place] = error
        new = await self._seen.fresh(owner(caller), [each.id for _, each, _ in sound])
        for place, said in await self._count(source, [each for each, fresh in zip(sound, new, strict=True) if fresh]):
            found[place] = said
        for name in {each.name for _, each, _ in sound}:
            with suppress(EdgeError):
                await self._made.admit(name, owner(caller), {})  # asks only where Valkey turned out to have forgotten it
        return found

    async def _count(self, source: str, fresh: Sequence[tuple[int, Report, Breaker]]) -> list[tuple[int, str]]:
        here = [(place, each) for place, each, _ in fresh if self._held.has(each.token)]
        late = [(place, LATE) for place, each, breaker in fresh if not each.token and 0 < each.version < breaker.version]
        trials = [(place, each, breaker) for place, each, breaker in fresh if each.token and not self._held.has(each.token)]
        done = {place for place, _ in late} | {place for place, *_ in here} | {place for place, *_ in trials}
        plain = [(place, each, breaker) for place, each, breaker in fresh if place not in done]
        ended = [(place, COUNTED if self._held.settle(each) else LATE) for place, each in here]
        settled = await self._settle(source, trials)
        await self._tell(source, batched([(breaker, each) for _, each, breaker in plain]))
        return [*late, *ended, *settled, *((place, COUNTED) for place, *_ in plain)]

    async def _trial(self, breaker: Breaker, source: str) -> Granted:
        """Asks the shared breaker for a lease. Raises ``Away``."""
        token, lease_ms = secrets.token_urlsafe(12), int(breaker.settings.permit_seconds * 1000)  # a whole one: nobody renews it
        (answer,) = await self._shared.ask([self._command("acquire", breaker, source, token, lease_ms)])
        shared, (granted, wait) = standing(answer), trial(answer)
        self._follow(breaker, shared)
        state = shared.override or shared.state
        if granted == 1:
            return Granted(True, state, shared.version, f"{shared.version}.{token}", lease_ms)
        if granted == 2:
            breaker.give_in(shared)
            return Granted(True, state, shared.version)
        why = "All trial calls are taken." if state is State.HALF_OPEN else str((shared.why or {}).get("sentence", ""))
        return Granted(False, state, shared.version, retry_after_ms=max(1, int(wait * 1000)), why=why)

    async def _settle(self, source: str, trials: Sequence[tuple[int, Report, Breaker]]) -> list[tuple[int, str]]:
        """Ends shared trials; one whose lease is over, or that nobody was given, is late."""
        commands: list[Command] = [("TIME",)]
        for _, each, breaker in trials:
            version, _, token = each.token.partition(".")
            outcome = breaker.weigh(each.outcome, each.seconds)
            number = version if version.isdecimal() and len(version) < 17 else "0"
            commands.append(("ZSCORE", self._shared.names.of(breaker.name).leases, token))
            commands.append(self._command("settle", breaker, source, token, number, outcome, redact(each.error)))
        try:
            answers = await self._shared.ask(commands) if trials else [(0, 0)]
        except Away:
            return [(place, LATE) for place, *_ in trials]
        (seconds, micros), scores, standings = answers[0], answers[1::2], answers[2::2]
        now = int(seconds) * 1000 + int(micros) // 1000
        for (_, _, breaker), answer in zip(trials, standings, strict=True):
            self._follow(breaker, standing(answer))
        return [(place, COUNTED if float(score or 0) > now else LATE) for (place, *_), score in zip(trials, scores, strict=True)]

    async def _tell(self, source: str, batches: Sequence[Batched]) -> None:
        """Counts on the shared breakers; here where they cannot be reached."""
        commands: list[Command] = []
        for each in batches:
            # first what we know, so that a server that has just lost all of it cannot take these counts for the whole story
            commands.append(self._command("report", each.breaker, source, *NOTHING))
            commands.append(self._command("report", each.breaker, source, *each.arguments, known=0))
            commands.append(self._made.question(each.breaker.name))
        try:
            answers = await self._shared.ask(commands) if commands else []
        except Away:
            for batch in batches:
                for outcome, seconds, error, count in batch.reports:
                    batch.breaker.record(outcome, seconds, error or None, count)
            return
        for batch, answer, noted in zip(batches, answers[1::3], answers[2::3], strict=True):
            self._follow(batch.breaker, standing(answer))
            if not noted:
                self._made.forgotten(batch.breaker.name)

    async def _admitted(self, caller: Caller, name: str, wishes: Wishes) -> Breaker:
        if name in self._begun:
            wishes = {}
        wishes = await self._made.admit(name, owner(caller), wishes)
        await self._begin({name: wishes})
        if name not in self._begun:
            raise full()
        return self._registry.get(name)

    async def _begin(self, wishes: Mapping[str, Wishes]) -> None:
        """Makes breakers that are new to this process, while there is room, and hears how they stand. Names that were forgotten
        elsewhere (Valkey lost them, a week passed) are still here: without a bound they would take the room of our own breakers."""
        new = [name for name in wishes if name not in self._begun][: max(0, MOST - len(self._begun))]
        try:
            breakers = [self._registry.get(name, **wishes[name]) for name in new]
        except ValueError as error:
            raise bad_input(str(error)) from None
        await self._tell("edge", [Batched(breaker, NOTHING, []) for breaker in breakers])
        self._begun.update(new)

    def _command(self, script: str, breaker: Breaker, source: str, *arguments: str | int, known: int | None = None) -> Command:
        """``known`` = 0: in whatever state it is."""
        version = breaker.version if known is None else known
        asker = Asker(self._shared.names, source, breaker.name, breaker.settings, version, breaker.claim(), random())
        return command(script, asker, *arguments)

    def _follow(self, breaker: Breaker, shared: Standing) -> None:
        if shared.version >= breaker.version:  # answers may overtake each other
            breaker.follow(shared)
