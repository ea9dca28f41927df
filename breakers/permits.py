"""Permits: leave to make one call, to be settled once with its outcome."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING

from breakers.core.types import Outcome

if TYPE_CHECKING:
    from breakers.breaker import Breaker

OK, FAILURE, EXCLUDED = Outcome.OK, Outcome.FAILURE, Outcome.EXCLUDED


class Permit:
    """``settle`` it once; later calls are ignored. As a context manager it settles itself; ``close`` gives it back uncounted."""

    __slots__ = ("_breaker", "_epoch", "_open")

    def __init__(self, breaker: Breaker, epoch: int) -> None:
        self._breaker = breaker
        self._epoch = epoch
        self._open = True

    def settle(self, outcome: Outcome, seconds: float = 0.0, error: str | BaseException | None = None) -> None:
        """The call ended. ``seconds`` that reach ``slow_after`` make a success slow; of ``error``, a redacted sample is kept."""
        if self._open:
            self._open = False
            self._breaker.ended(self._epoch, outcome, seconds, error)

    def close(self) -> None:
        """Give it back, where nothing was learned."""
        self.settle(EXCLUDED)

    def __enter__(self) -> Permit:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.settle(OK if error is None else self._breaker.judge(error), 0.0, error)


class Trial(Permit):
    """A half-open breaker's permit: a lease. One that nobody settles goes back when it is forgotten, at the latest when its time is over.

    ``version`` is the shared state's, None for a lease of this process alone.
    """

    __slots__ = ("_life", "token", "version")

    def __init__(self, breaker: Breaker, epoch: int, token: int, version: int | None) -> None:
        super().__init__(breaker, epoch)
        self.token, self.version, self._life = token, version, breaker.life

    def settle(self, outcome: Outcome, seconds: float = 0.0, error: str | BaseException | None = None) -> None:
        if self._open:
            self._open = False
            if self._life is self._breaker.life:  # else it is the copy that a fork made of somebody's lease
                self._breaker.tried(self, self._breaker.weigh(outcome, seconds), error)

    def __del__(self) -> None:
        self.settle(EXCLUDED)
