"""Clients that send mixed requests by a seed, again until each is answered for good, and write down every try.

Each knows all web processes, as behind a load balancer: where one does not answer, the next try goes to another.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import ssl
import time
from collections import Counter
from collections.abc import Sequence

import httpx

from healing.core.ledger import Heard, Ledger
from resilience_site.gameday.account import Look, Try
from resilience_site.gameday.kinds import REST, WEIGHTS, Kind, Request

PATIENCE = 60.0
"""Seconds that a client goes on with a request after it was told to stop."""
TIMEOUT = 40.0
PAUSE = 0.05
READ_PART = 0.2
MOST_SAID = 300
"""Letters of an error's text that are remembered."""
_NOBODY = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusts nobody, which is read at once: all addresses are http. (By default each client reads all the world's certificates.)"""
_FOR_GOOD = frozenset({400, 401, 403, 404, 413, 414, 422})


class Traffic:
    """``clients`` at once, ``pace`` seconds between a client's requests. ``looks``: its reads."""

    def __init__(self, urls: Sequence[str], key: str, seed: int, clients: int, pace: float) -> None:
        self._urls, self._seed, self._clients, self._pace = urls, seed, clients, pace
        self._headers = {"apikey": key, "authorization": f"Bearer {key}"}
        self._numbers = itertools.count(1)
        self._stopped = asyncio.Event()
        self._stopped_at = 0.0
        self.began = time.monotonic()
        self.ledger = Ledger(seed)
        self.requests: dict[str, Request] = {}
        self.tries: list[Try] = []
        self.looks: list[Look] = []

    @property
    def reads(self) -> Counter[str]:
        """How many reads came to what."""
        return Counter(_word(look, self.requests[look.sent.mark]) for look in self.looks)

    def now(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self.began

    async def run(self) -> None:
        """Sends until ``stop``; each client finishes what it began."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._clients):
                group.create_task(self._client(number))

    def stop(self) -> None:
        """No new requests."""
        self._stopped_at = time.monotonic()
        self._stopped.set()

    async def _client(self, number: int) -> None:
        rng = random.Random(f"{self._seed}-{number}")  # noqa: S311 - a plan to be repeated
        kinds, weights = list(WEIGHTS), list(WEIGHTS.values())
        landed: list[str] = []
        limits = httpx.Limits(max_connections=2)
        async with httpx.AsyncClient(headers=self._headers, timeout=TIMEOUT, trust_env=False, limits=limits, verify=_NOBODY) as client:
            for turn in itertools.count():
                if self._stopped.is_set():
                    return
                if landed and rng.random() < READ_PART:
                    await self._read(client, rng.choice(landed), rng)
                else:
                    await self._write(client, rng.choices(kinds, weights)[0], f"{number}-{turn}", rng, landed)
                await asyncio.sleep(self._pace * rng.uniform(0.5, 1.5))

    async def _write(self, client: httpx.AsyncClient, kind: Kind, place: str, rng: random.Random, landed: list[str]) -> None:
        request = kind(f"{kind.__name__}-{place}", next(self._numbers))
        self.requests[request.mark] = request
        self.ledger.sends(request.mark, request.wants)
        url = rng.randrange(len(self._urls))
        while True:
            heard = await self._try(client, self._urls[url % len(self._urls)], request)
            if _is_final(heard) or not request.keyed or self._gave_up():
                break
            url += 1
            await asyncio.sleep(PAUSE)
        if heard.status == 201 and "plain" in request.wants:
            landed[:] = [*landed[-20:], request.mark]

    async def _try(self, client: httpx.AsyncClient, url: str, request: Request) -> Heard:
        headers = {**request.headers, "idempotency-key": request.mark} if request.keyed else dict(request.headers)
        at, heard, said = self.now(), Heard(), ""
        with contextlib.suppress(httpx.HTTPError, OSError):
            answer = await client.request(request.method, url + request.path, json=request.body, headers=headers)
            heard, said = _heard(answer), _said(answer)
        self.ledger.hears(request.mark, heard)
        self.tries.append(Try(request.mark, at, self.now() - at, heard, said))
        return heard

    async def _read(self, client: httpx.AsyncClient, mark: str, rng: random.Random) -> None:
        """A row that was told to be committed must be there."""
        query, url, at = {"mark": f"eq.{mark}", "select": "mark"}, rng.choice(self._urls), self.now()
        heard, found, said = Heard(), None, ""
        with contextlib.suppress(httpx.HTTPError, OSError):
            answer = await client.get(f"{url}{REST}plain", params=query)
            heard = _heard(answer)
            found, said = len(answer.json()) if heard.status == 200 else None, _said(answer)
        self.looks.append(Look(Try(mark, at, self.now() - at, heard, said), found))

    def _gave_up(self) -> bool:
        return self._stopped.is_set() and time.monotonic() > self._stopped_at + PATIENCE


def _word(look: Look, request: Request) -> str:
    heard = look.sent.heard
    if look.found is not None:
        return "right" if look.found == request.wants["plain"] else "wrong"
    return f"answered {heard.status} {heard.code}" if heard.status else "cut off"


def _is_final(heard: Heard) -> bool:
    """Whether nobody needs to send it again."""
    if heard.status in (0, 429) or heard.status >= 500:
        return False
    return heard.kept is not None or heard.status < 300 or heard.status in _FOR_GOOD or (heard.status == 409 and heard.promise is not None)


def _said(answer: httpx.Response) -> str:
    return answer.text[:MOST_SAID] if answer.status_code >= 400 else ""


def _heard(answer: httpx.Response) -> Heard:
    try:
        body = answer.json() if answer.status_code >= 400 and answer.content else {}
    except ValueError:
        body = {}
    code = body.get("code") if isinstance(body, dict) else None
    return Heard(answer.status_code, answer.headers.get("mendgate-quarantine"), str(code or ""))
