"""What one caller may use a minute and at a time: shared over processes through Valkey; each process for itself while that is away."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable

from msgspec import Struct, field

from breakers.gateway.ai.limits_lua import ADMIT, RELEASE, RENEW
from breakers.gateway.ai.snapshot import Allowance
from breakers.gateway.ai.valkey import Away, Valkey

LEASE_MS = 30_000
"""A place that nobody renews is free after this: of a process that was killed."""
RENEW_EVERY = 10.0
KEEP_MS = 600_000
"""How long Valkey remembers what was spent; later it is told again from the database, which has all of it by then."""
MICRO = 1_000_000
MINUTE = 60.0
_MOST_CALLERS = 10_000


class Want(Struct, kw_only=True):
    """What a call asks for. Money in millionths of a dollar; ``spent`` -1 = there is no budget, ``hard`` -1 = no hard one."""

    id: str
    who: str
    allowance: Allowance
    tokens: int
    most: int
    """the most it can cost."""
    hard: int = -1
    spent: int = -1
    """this period, as the database says."""
    added: int = 0
    """what this process spent since; Valkey knows that already."""
    era: str = ""
    """the period that ``spent`` is of."""


class Standing(Struct, kw_only=True):
    """How a caller stands after asking. ``refused``: "" or requests, tokens, concurrency, budget. Seconds; ``spent`` with what calls
    under way may cost."""

    refused: str = ""
    wait: float = 0.0
    requests_left: int = 0
    requests_full: float = 0.0
    tokens_left: int = 0
    tokens_full: float = 0.0
    spent: int = 0


class Limits:
    """Admits and releases. ``shared`` may be away at any time."""

    def __init__(self, shared: Valkey, namespace: str) -> None:
        self._shared, self._namespace = shared, namespace
        self._here: dict[str, _Here] = {}
        self._live: dict[str, dict[str, Want]] = {}
        """calls under way in this process, by caller and id."""

    async def admit(self, want: Want) -> Standing:
        """Whether it may go ahead; then ``release`` must follow."""
        standing = await self._admit_shared(want)
        if standing is None:
            standing = self._local(want.who).admit(want, self._live.get(want.who, {}).values(), time.monotonic())
        if not standing.refused:
            self._live.setdefault(want.who, {})[want.id] = want
        return standing

    async def release(self, want: Want, used: int, cost: int) -> None:
        """Gives the place back, and the tokens that were not used."""
        live = self._live.get(want.who, {})
        live.pop(want.id, None)
        if not live:
            self._live.pop(want.who, None)
        if want.who in self._here:
            self._here[want.who].settle(want, used, time.monotonic())
        keys = self._keys(want)
        unused = want.tokens - used
        if not (unused or _is_leased(want) or want.spent >= 0):
            return  # Valkey holds nothing of it
        with contextlib.suppress(Away):
            spent = str(cost if want.spent >= 0 else 0)
            values = (want.id, want.allowance.tokens_per_minute, unused, spent, KEEP_MS, int(_is_leased(want)))
            await self._shared.eval(RELEASE, keys[1:], *values)

    async def keep_renewing(self) -> None:
        """Keeps the places of calls under way, until cancelled."""
        while True:
            await asyncio.sleep(RENEW_EVERY)
            for live in list(self._live.values()):
                held = [want for want in live.values() if _is_leased(want)]
                if held:
                    with contextlib.suppress(Away):
                        await self._shared.eval(RENEW, self._keys(held[0])[2:4], LEASE_MS, *(want.id for want in held))

    async def _admit_shared(self, want: Want) -> Standing | None:
        allowance = want.allowance
        wants = (allowance.requests_per_minute, allowance.tokens_per_minute, want.tokens, allowance.concurrency)
        try:
            said = await self._shared.eval(
                ADMIT, self._keys(want), *wants, want.id, LEASE_MS, want.hard, want.spent, want.most, KEEP_MS
            )  # fmt: skip
        except Away:
            return None
        refused, wait, requests_left, requests_full, tokens_left, tokens_full, spent = said
        return Standing(
            refused=refused.decode(),
            wait=int(wait) / MICRO,
            requests_left=requests_left,
            requests_full=int(requests_full) / MICRO,
            tokens_left=tokens_left,
            tokens_full=int(tokens_full) / MICRO,
            spent=int(spent),
        )

    def _keys(self, want: Want) -> list[str]:
        tag = f"{{{self._namespace}:ai:{want.who}}}"
        return [f"{tag}:requests", f"{tag}:tokens", f"{tag}:leases", f"{tag}:held", f"{tag}:spent:{want.era}"]

    def _local(self, who: str) -> _Here:
        if len(self._here) > _MOST_CALLERS:
            self._here.clear()
        return self._here.setdefault(who, _Here())


def _is_leased(want: Want) -> bool:
    return want.allowance.concurrency > 0 or want.hard >= 0


class _Here(Struct):
    """One caller's limits in this process alone. The numbers are the moments at which its buckets are full again."""

    requests: float = field(default=0.0)
    tokens: float = field(default=0.0)

    def admit(self, want: Want, live: Iterable[Want], now: float) -> Standing:
        """As the script does it."""
        others = list(live)
        allowance = want.allowance
        requests, r_wait, r_left = _bucket(self.requests, allowance.requests_per_minute, 1, now)
        tokens, t_wait, t_left = _bucket(self.tokens, allowance.tokens_per_minute, want.tokens, now)
        spent = max(want.spent, 0) + want.added + sum(each.most for each in others)
        refused, wait = "", 0.0
        if want.hard >= 0 and want.most > 0 and spent >= want.hard:
            refused = "budget"
        elif r_wait > 0:
            refused, wait = "requests", r_wait
        elif t_wait > 0:
            refused, wait = "tokens", t_wait
        elif 0 < allowance.concurrency <= len(others):
            refused = "concurrency"
        else:
            self.requests, self.tokens = requests, tokens
        return Standing(
            refused=refused, wait=wait, requests_left=r_left, requests_full=max(self.requests - now, 0.0), tokens_left=t_left,
            tokens_full=max(self.tokens - now, 0.0), spent=spent,
        )  # fmt: skip

    def settle(self, want: Want, used: int, now: float) -> None:
        """Gives unused tokens back."""
        if want.allowance.tokens_per_minute:
            self.tokens = max(self.tokens - (want.tokens - used) * MINUTE / want.allowance.tokens_per_minute, now)


def _bucket(full: float, limit: int, cost: int, now: float) -> tuple[float, float, int]:
    """When it is full again after ``cost``, how long to wait for that (0 = not at all), what is left."""
    if limit == 0:
        return full, 0.0, 0
    step = MINUTE / limit
    at = max(full, now)
    new = at + step * cost
    wait = new - now - MINUTE
    if wait > 1e-6:
        return at, wait, int((now + MINUTE - at) / step + 1e-6)
    return new, 0.0, int((now + MINUTE - new) / step + 1e-6)
