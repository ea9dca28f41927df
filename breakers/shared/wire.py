"""Two connections to Valkey, each call bounded: one asks, one listens. Used by one thread only. ``redis`` is imported here, late."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, cast

from breakers import valkey_address
from breakers.shared.scripts import Command

LIMIT = 0.1
"""Seconds for connecting, and for each answer."""


class Lost(Exception):
    """Valkey did not answer, or not as it should."""


class Wire:
    """Connects at once. Every method raises ``Lost``; then it is of no more use."""

    def __init__(self, url: str, channel: str) -> None:
        import redis
        from redis.backoff import NoBackoff
        from redis.maint_notifications import MaintNotificationsConfig
        from redis.retry import Retry

        self._errors = (redis.RedisError, OSError)
        bounds = {"socket_timeout": LIMIT, "socket_connect_timeout": LIMIT, "retry": Retry(NoBackoff(), 0), "protocol": 2}
        pool = valkey_address.pool(url, maint_notifications_config=MaintNotificationsConfig(enabled=False), **bounds)
        pool.connection_kwargs.update(bounds, driver_info=None)
        self._asking = pool.make_connection()
        self._listening = pool.make_connection()
        try:
            self._asking.connect()
            self._listening.connect()
            self._listening.send_command("SUBSCRIBE", channel)
            self._listening.read_response()
            self._proven = True
        except self._errors as error:
            self.close()
            raise Lost(_said(error)) from None

    def exchange(self, commands: Sequence[Command]) -> list[Any]:
        """Their answers, in one round trip; an exception where a command could not work with what its keys hold (``of_its_keys``)."""
        try:
            self._asking.send_packed_command(self._asking.pack_commands(commands), check_health=False)
            answers = [self._answer() for _ in commands]
        except self._errors as error:
            raise Lost(_said(error)) from None
        refused = next((answer for answer in answers if isinstance(answer, Exception) and not of_its_keys(answer)), None)
        if refused is not None:
            raise Lost(_said(refused))
        return answers

    def _answer(self) -> Any:
        import redis

        try:
            return self._asking.read_response()
        except redis.ResponseError as error:  # one command was refused; the others' answers still come
            return error

    def fileno(self) -> int:
        """Of the connection that listens, for ``select``."""
        if self._listening._sock is None:
            raise Lost("The connection that listens is gone.")
        return cast("int", self._listening._sock.fileno())

    def prove(self) -> None:
        """The connection that listens must answer before this is called again: one that was cut silently never says so itself."""
        if not self._proven:
            raise Lost("The connection that listens went silent.")
        self._proven = False
        try:
            self._listening.send_command("PING", check_health=False)
        except self._errors as error:
            raise Lost(_said(error)) from None

    def heard(self) -> set[str]:
        """The breakers that something happened to."""
        names = set()
        try:
            while self._listening.can_read(0):
                message = self._listening.read_response()
                self._proven = True
                if message[0] == b"message":
                    names.add(message[-1].decode())
        except self._errors as error:
            raise Lost(_said(error)) from None
        return names

    def close(self) -> None:
        """Hang up."""
        for connection in (self._asking, self._listening):
            with contextlib.suppress(*self._errors):
                connection.disconnect()


def of_its_keys(error: Exception) -> bool:
    """Whether a command failed by what it found under its keys: that says nothing about Valkey, nor about other keys."""
    from redis.exceptions import ResponseError

    return type(error) is ResponseError and str(error).startswith(("WRONGTYPE", "user_script:"))


def _said(error: Exception) -> str:
    from redis.exceptions import ClusterDownError, MovedError

    said = f"{type(error).__name__}: {error}"[:300]
    return f"{said}. {valkey_address.INSTEAD_OF_CLUSTER}" if isinstance(error, MovedError | ClusterDownError) else said
