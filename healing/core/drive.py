"""The two drivers of a healing flow: the same decisions, run by an async shell (gateway) or a sync one (tests, tools)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from healing.core.heal import Answer, Flow, Result, Step


async def adrive(flow: Flow, perform: Callable[[Step], Awaitable[Answer]]) -> Result:
    """Runs the flow; ``perform`` carries out each step and returns what the flow asked for."""
    answer: Answer = None
    while True:
        try:
            step = flow.send(answer)
        except StopIteration as stop:
            result: Result = stop.value
            return result
        answer = await perform(step)


def drive(flow: Flow, perform: Callable[[Step], Answer]) -> Result:
    """The same with a plain function."""
    answer: Answer = None
    while True:
        try:
            step = flow.send(answer)
        except StopIteration as stop:
            result: Result = stop.value
            return result
        answer = perform(step)
