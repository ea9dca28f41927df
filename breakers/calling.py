"""The ways to call through a breaker: ``execute``, decorator, ``with`` and ``async with``."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from functools import partial, wraps
from time import monotonic
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast

from breakers.core.types import Outcome
from breakers.permits import Permit
from breakers.refusal import Open

T = TypeVar("T")
P = ParamSpec("P")
OK, EXCLUDED = Outcome.OK, Outcome.EXCLUDED
Entered = tuple["Calling", Permit, float, Any]
entered: ContextVar[Any] = ContextVar("breakers entered", default=None)
"""The breakers that this task or thread is in, innermost first: each with its permit, when it came in, and the rest of them."""


class Calling:
    """What a breaker offers on top of permits. A subclass has ``_gate`` (whether a call must ask), ``_epoch`` and the methods below."""

    _gate: bool
    _epoch: int
    rescued: int

    def acquire(self) -> Permit:
        """Leave for one call. Raises ``Open``."""
        raise NotImplementedError

    async def aacquire(self) -> Permit:
        """The same without blocking the loop."""
        raise NotImplementedError

    def ended(self, epoch: int, outcome: Outcome, seconds: float, error: str | BaseException | None, count: int = 1) -> None:
        """A call that began in ``epoch`` is over."""
        raise NotImplementedError

    def judge(self, error: BaseException) -> Outcome:
        """What an exception says about the service."""
        raise NotImplementedError

    def execute(self, fn: Callable[[], T], fallback: Callable[[BaseException], T] | None = None) -> T:
        """``fn()``. Where it is refused or fails, ``fallback(error)`` is the answer; what is excluded is raised."""
        if self._gate:
            return self._execute_asking(fn, fallback)
        epoch, began = self._epoch, monotonic()
        try:
            answer = fn()
        except BaseException as error:
            outcome = self.judge(error)
            self.ended(epoch, outcome, 0.0, error)
            if fallback is None or (outcome is EXCLUDED and not isinstance(error, Open)):
                raise
            return fallback(error)
        self.ended(epoch, OK, monotonic() - began, None)
        return answer

    def _execute_asking(self, fn: Callable[[], T], fallback: Callable[[BaseException], T] | None) -> T:
        try:
            permit = self.acquire()
        except Open as error:
            if fallback is None:
                raise
            self.rescued += 1
            return fallback(error)
        began = monotonic()
        try:
            answer = fn()
        except BaseException as error:
            outcome = self.judge(error)
            permit.settle(outcome, 0.0, error)
            if fallback is None or (outcome is EXCLUDED and not isinstance(error, Open)):
                raise
            return fallback(error)
        permit.settle(OK, monotonic() - began)
        return answer

    async def aexecute(self, fn: Callable[[], Awaitable[T]], fallback: Callable[[BaseException], T | Awaitable[T]] | None = None) -> T:
        """The same for coroutines; ``fallback`` may be one or not."""
        try:
            permit = await self.aacquire()
        except Open as error:
            if fallback is None:
                raise
            self.rescued += 1
            return await _awaited(fallback(error))
        began = monotonic()
        try:
            answer = await fn()
        except BaseException as error:
            outcome = self.judge(error)
            permit.settle(outcome, 0.0, error)
            if fallback is None or (outcome is EXCLUDED and not isinstance(error, Open)):
                raise
            return await _awaited(fallback(error))
        permit.settle(OK, monotonic() - began)
        return answer

    def __call__(self, fn: Callable[P, T]) -> Callable[P, T]:
        """As a decorator, of functions and coroutine functions."""
        if inspect.isgeneratorfunction(fn) or inspect.isasyncgenfunction(fn):
            raise TypeError("A generator's outcome is known at its end: use acquire() and settle the permit there.")
        if inspect.iscoroutinefunction(fn):

            @wraps(fn)
            async def guarded(*args: P.args, **kwargs: P.kwargs) -> Any:
                async with self:
                    return await cast("Callable[P, Awaitable[Any]]", fn)(*args, **kwargs)

            return cast("Callable[P, T]", guarded)

        @wraps(fn)
        def guarding(*args: P.args, **kwargs: P.kwargs) -> T:
            return self.execute(partial(fn, *args, **kwargs))

        return guarding

    def __enter__(self) -> Self:
        permit = self.acquire() if self._gate else Permit(cast("Any", self), self._epoch)
        entered.set((self, permit, monotonic(), entered.get()))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        top = entered.get()
        if top is None or top[0] is not self:  # a generator left it in another order, or in another context
            top = self._dig(top)
            if top is None:
                return
        else:
            entered.set(top[3])
        if error is None:
            top[1].settle(OK, monotonic() - top[2])
        else:
            top[1].settle(self.judge(error), 0.0, error)

    async def __aenter__(self) -> Self:
        permit = await self.aacquire()
        entered.set((self, permit, monotonic(), entered.get()))
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.__exit__(kind, error, trace)

    def _dig(self, stack: Any) -> Entered | None:
        """Take out our own entry from under others."""
        above = []
        while stack is not None and stack[0] is not self:
            above.append(stack)
            stack = stack[3]
        if stack is None:
            return None
        rest = stack[3]
        for breaker, permit, began, _ in reversed(above):
            rest = (breaker, permit, began, rest)
        entered.set(rest)
        return cast("Entered", stack)


async def _awaited(answer: T | Awaitable[T]) -> T:
    return await answer if inspect.isawaitable(answer) else answer
