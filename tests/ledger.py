"""The ledger (``healing.core.ledger``) on a real gateway: sending by it, and what is found in the databases afterwards.

    ledger = Ledger(seed)
    with gateway.client() as client:
        send(ledger, client, "a-1", "/rest/v1/notes", {"mark": "a-1", "body": "x"})     # once; its mark is its Idempotency-Key, too
        send(ledger, client, "a-2", "/rest/v1/notes", {"mark": "a-2"}, tries=50)         # again until it is answered for good
    settle(ledger, gateway, "notes")                                                     # asserts that nothing is unexplained

Every table has a column ``mark`` that holds the mark of the request that wrote the row. ``send`` is for threads, ``asend`` the same for a
loop. A request without a key (``keyed=False``) goes through the lanes; it is sent once, as who has no key must not send twice.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from healing.core.ledger import Account, End, Found, Heard, Ledger
from tests.gateway_process import Gateway

__all__ = ["Account", "End", "Found", "Heard", "Ledger", "asend", "found_in", "heard_of", "send", "settle"]

FOR_GOOD = frozenset({200, 201, 202, 204, 207, 400, 401, 403, 404, 413, 414, 422, 429})
"""Answers after which nobody sends again. 409 is for good unless it says that the first try is under way."""
PAUSE = 0.05


def send(
    ledger: Ledger, client: httpx.Client, mark: str, path: str, body: Any, wants: Mapping[str, int] | None = None, *,
    tries: int = 1, keyed: bool = True, method: str = "POST", **headers: str,
) -> Heard:  # fmt: skip
    """Sends a request, up to ``tries`` times until it is answered for good; what it heard last. ``wants``: see ``Ledger.sends``; by
    default as many rows as ``body`` has, in the table that ``path`` names."""
    named = {"idempotency-key": mark, **headers} if keyed else headers
    for _ in _story(ledger, mark, wants or _wants(path, body), tries):
        try:
            heard = ledger.hears(mark, heard_of(client.request(method, path, json=body, headers=named)))
        except httpx.HTTPError:
            heard = ledger.hears(mark, Heard())
        time.sleep(0 if is_final(heard) else PAUSE)
    return ledger.heard[mark][-1]


async def asend(
    ledger: Ledger, client: httpx.AsyncClient, mark: str, path: str, body: Any, wants: Mapping[str, int] | None = None, *,
    tries: int = 1, keyed: bool = True, method: str = "POST", **headers: str,
) -> Heard:  # fmt: skip
    """``send`` in a loop."""
    named = {"idempotency-key": mark, **headers} if keyed else headers
    for _ in _story(ledger, mark, wants or _wants(path, body), tries):
        try:
            heard = ledger.hears(mark, heard_of(await client.request(method, path, json=body, headers=named)))
        except httpx.HTTPError:
            heard = ledger.hears(mark, Heard())
        await asyncio.sleep(0 if is_final(heard) else PAUSE)
    return ledger.heard[mark][-1]


def _story(ledger: Ledger, mark: str, wants: Mapping[str, int], tries: int) -> Iterator[None]:
    """One turn for each try, until it is answered for good."""
    ledger.sends(mark, wants)
    for number in range(tries):
        if number and is_final(ledger.heard[mark][-1]):
            return
        yield


def heard_of(answer: httpx.Response) -> Heard:
    """An answer as the ledger writes it down."""
    try:
        body = answer.json() if answer.status_code >= 400 and answer.content else {}
    except ValueError:
        body = {}
    code = body.get("code") if isinstance(body, dict) else None
    return Heard(answer.status_code, answer.headers.get("mendgate-quarantine"), code or "")


def is_final(heard: Heard) -> bool:
    """Whether nobody needs to send it again."""
    return heard.kept is not None or heard.status in FOR_GOOD or (heard.status == 409 and heard.promise is not None)


def found_in(gateway: Gateway, *tables: str, column: str = "mark", client: httpx.Client | None = None) -> Found:
    """Rows by mark and table, and what the quarantine holds by mark: its Idempotency-Key, or (``client``, a service key's) the mark in
    its payload where it had none."""
    rows: dict[str, Counter[str]] = defaultdict(Counter)
    for table in tables:
        for each in gateway.sql(f"SELECT {column} AS mark, count(*) AS n FROM {table} GROUP BY 1"):
            rows[each["mark"]][table] += each["n"]
    waiting, replayed = Counter[str](), Counter[str]()
    for item in gateway.control("SELECT id::text, state, idempotency_key AS mark FROM healing_quarantineitem WHERE state <> 'discarded'"):
        mark = item["mark"] or (_mark_of(client, item["id"], column) if client else f"item {item['id']}")
        (replayed if item["state"] == "replayed" else waiting)[mark] += 1
    return Found(rows, waiting, replayed)


def settle(ledger: Ledger, gateway: Gateway, *tables: str, column: str = "mark") -> Account:
    """The account of everything; fails with its report where something is unexplained. Call when nothing is under way any more."""
    with gateway.client() as client:
        account = ledger.account(found_in(gateway, *tables, column=column, client=client))
    print(account.report())  # noqa: T201 - the seed, for whoever reads a failure
    assert not account.unexplained, account.report()
    return account


def _wants(path: str, body: Any) -> Mapping[str, int]:
    table = path.partition("?")[0].rpartition("/")[2]
    return {table: len(body) if isinstance(body, list) else 1}


def _mark_of(client: httpx.Client, item: str, column: str) -> str:
    payload = client.get(f"/api/v1/quarantine/{item}").raise_for_status().json()["payload"]
    row = payload[0] if isinstance(payload, list) else payload
    return str(row.get(column))
