"""A crowd of AI calls takes turns, so that what else the process does goes on in between."""

from __future__ import annotations

import asyncio

from breakers.gateway.ai.snapshot import Canned
from breakers.gateway.ai.turns import Turns
from tests.ai_calls import HELLO, Calls, ai_calls, provider, snapshot
from tests.integration.ai_rows import in_loop

CROWD = 200
PASSES = 10
"""of the loop, that an insert needs."""


async def somebody_else() -> None:
    for _ in range(PASSES):
        await asyncio.sleep(0)


async def answered_meanwhile(call: Calls) -> int:
    """How many of a crowd are answered before somebody else is done."""
    crowd = [asyncio.create_task(call({"model": "a", **HELLO})) for _ in range(CROWD)]
    await somebody_else()
    done = sum(each.done() for each in crowd)
    assert {(await each).status for each in crowd} == {200}
    return done


@in_loop
async def test_who_shares_the_loop_with_a_crowd_waits_for_a_few_of_them_only():
    no_key = provider("a", "http://127.0.0.1:1/v1", wants_key=True)
    async with ai_calls(snapshot(no_key, canned=(Canned(id="c", content="Later."),))) as call:
        assert await answered_meanwhile(call) < CROWD / 2


@in_loop
async def test_what_was_begun_goes_before_what_begins_and_nobody_waits_for_ever():
    turns, order = Turns(pieces=4), list[str]()

    async def piece(name: str, turn: object) -> None:
        await turn  # type: ignore[misc]
        order.append(name)

    tasks = [asyncio.create_task(piece("new", turns.begin())) for _ in range(12)]
    tasks += [asyncio.create_task(piece("old", turns.go_on())) for _ in range(9)]
    await asyncio.gather(*tasks)
    assert order[:4] == ["new"] * 4, "nobody was before them"
    assert order[4:16] == ["old", "old", "old", "new"] * 3
    assert order[16:] == ["new"] * 5


@in_loop
async def test_who_leaves_the_line_holds_up_nobody():
    turns = Turns(pieces=1)
    await turns.begin()
    line = [asyncio.create_task(turns.begin()) for _ in range(3)]
    await asyncio.sleep(0)
    line[1].cancel()
    await asyncio.gather(line[0], line[2])
    assert line[1].cancelled()
