"""Which statements one connection has prepared, and under what names."""

from __future__ import annotations

from collections import deque

from healing.gateway.wire_messages import Step, closed, parsed, run

_MOST, _MOST_OPENINGS = 100, 30
"""Statements kept prepared on a connection; and of those that open transactions."""
_LONGEST = 20_000
"""Characters of one that is kept. For each, Postgres keeps some 25 bytes on every connection: megabytes for thousands of conditions."""


class Prepared:
    """Names by text, for the ``steps`` of lanes. What is not kept (all of it behind a pooler, and what is very long) is prepared
    without a name each time."""

    def __init__(self, *, keeps: bool) -> None:
        self._keeps = keeps
        self._statements: dict[str, bytes] = {}
        self._openings: dict[str, bytes] = {}
        self._firsts: dict[str, bytes] = {}
        self._said: dict[tuple[str, ...], bytes] = {}
        self._coming: deque[tuple[dict[str, bytes], str, bytes]] = deque()
        self._stale: list[bytes] = []
        self._closing: list[bytes] = []
        self._count = 0

    def forgotten(self) -> bytes:
        """Messages that close what is not wanted any more; to be asked for first, and to go before all else."""
        self._closing, self._stale = self._stale, []
        return b"".join([closed(name) for name in self._closing])

    def firsts(self, texts: tuple[str, ...]) -> bytes:
        """Messages that run the few statements that every transaction begins with: the same bytes again and again."""
        known = self._said.get(texts)
        if known is not None:
            return known
        names = [self._firsts.get(sql) for sql in texts]
        if None not in names:
            said = self._said[texts] = b"".join([run(name, Step(sql)) for name, sql in zip(names, texts, strict=True) if name])
            return said
        return b"".join([self._first(sql) for sql in texts])

    def _first(self, sql: str) -> bytes:
        name = self._firsts.get(sql)
        return self._new(self._firsts, _MOST_OPENINGS, Step(sql)) if name is None else run(name, Step(sql))

    def opening(self, step: Step) -> bytes:
        """Messages that run what goes before a statement."""
        name = self._openings.get(step.sql)
        return self._new(self._openings, _MOST_OPENINGS, step) if name is None else run(name, step)

    def statement(self, step: Step) -> bytes:
        """Messages that run a statement."""
        name = self._statements.get(step.sql)
        return self._new(self._statements, _MOST, step) if name is None else run(name, step)

    def came(self) -> None:
        """The server has prepared the next one of those that were sent."""
        known, sql, name = self._coming.popleft()
        if name:
            known[sql] = name

    def over(self) -> None:
        """What was sent is answered: what has not come will not."""
        self._coming.clear()

    def unsaid(self) -> None:
        """None of it was sent."""
        self._coming.clear()
        self._stale = [*self._closing, *self._stale]

    def forget(self) -> None:
        """The server does not know them any more, or no longer as they were."""
        for known in (self._firsts, self._statements, self._openings):
            self._stale += known.values()
            known.clear()
        self._said = {}

    def _new(self, known: dict[str, bytes], most: int, step: Step) -> bytes:
        if not self._keeps or len(step.sql) > _LONGEST:
            return self._unnamed(step)
        if len(known) >= most:
            self._stale.append(known.pop(next(iter(known))))
        self._count += 1
        name = b"mg%d" % self._count
        self._coming.append((known, step.sql, name))
        return parsed(name, step.sql) + run(name, step)

    def _unnamed(self, step: Step) -> bytes:
        self._coming.append((self._statements, step.sql, b""))
        return parsed(b"", step.sql) + run(b"", step)
