"""What a breaker says when it lets a call not through."""

from __future__ import annotations

from breakers.core.types import State


class Open(Exception):
    """The call was not made: its breaker is open. ``retry_after`` is seconds; ``why`` is a sentence."""

    def __init__(self, name: str, state: State, retry_after: float, why: str) -> None:
        self.name, self.state, self.retry_after, self.why = name, state, retry_after, why

    def __str__(self) -> str:
        what = f"The breaker {self.name!r} is {self.state.replace('_', ' ')}, so the call was not made. {self.why}".rstrip()
        if self.state is State.FORCED_OPEN:
            return f"{what} A person opened it and has to release it; use a fallback meanwhile."
        return f"{what} Try again in {self.retry_after:.1f} s, or use a fallback."

    def __reduce__(self) -> tuple[type[Open], tuple[str, State, float, str]]:
        return Open, (self.name, self.state, self.retry_after, self.why)
