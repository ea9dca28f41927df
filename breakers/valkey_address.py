"""What ``REDIS_URL`` may name: one Valkey, or the sentinels that know which one is in charge. The only place that opens connections by it.

    redis://user:password@host:6379/0                             one Valkey; rediss:// with TLS, unix:// by a socket
    redis+sentinel://user:password@one:26379,two,[::1]/service/0  asks the sentinels, anew for each connection; rediss+sentinel://

``user``, ``password`` and what stands behind ``?`` are Valkey's; ``sentinel_username`` and ``sentinel_password`` there are the sentinels'.
``redis`` is imported late: a web process serves before it has loaded it. Clusters: docs/adr/0051-several-hosts.md.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from msgspec import Struct

SCHEMES = ("redis", "rediss", "unix")
SENTINEL_SCHEMES = ("redis+sentinel", "rediss+sentinel")
CLUSTER_SCHEMES = ("redis+cluster", "rediss+cluster", "redis-cluster", "valkey+cluster")
INSTEAD_OF_CLUSTER = (
    "Use one Valkey, or one with replicas under sentinels (redis+sentinel://…): what Mendgate keeps there is small and may be lost. "
    "See docs/howto/run-several-hosts.md."
)
SENTINEL_PORT = 26379
SENTINEL_PATIENCE = 0.5
"""Seconds for each sentinel, where nothing shorter is asked for."""


class Sentinels(Struct, frozen=True):
    """A parsed URL of sentinels. ``url`` is one of a Valkey with the same options, whose host means nothing."""

    hosts: tuple[tuple[str, int], ...]
    service: str
    url: str
    secure: bool
    login: dict[str, str]
    """of the sentinels themselves."""


def sentinels(url: str) -> Sentinels | None:
    """Who the sentinels are; None for the URL of one Valkey. Raises ``ValueError``."""
    parts = _parts(url)
    if parts.scheme not in SENTINEL_SCHEMES:
        return None
    userinfo, _, names = parts.netloc.rpartition("@")
    hosts = tuple(_host(each) for each in names.split(","))
    service, _, database = parts.path.strip("/").partition("/")
    if not service or (database and not database.isdecimal()):
        raise ValueError("the name of the service comes after the sentinels, then the number of a database")
    options = dict(parse_qsl(parts.query))
    login = {name: options.pop(f"sentinel_{name}") for name in ("username", "password") if f"sentinel_{name}" in options}
    secure = parts.scheme.startswith("rediss")
    plain = f"{'rediss' if secure else 'redis'}://{userinfo + '@' if userinfo else ''}sentinel/{database or 0}"
    return Sentinels(hosts, service, f"{plain}?{urlencode(options)}" if options else plain, secure, login)


def pool(url: str, **bounds: Any) -> Any:
    """Connections to whoever is in charge, for synchronous code; ``bounds`` are redis-py's options of a connection."""
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
    from redis.sentinel import Sentinel, SentinelConnectionPool

    if (known := sentinels(url)) is None:
        return redis.ConnectionPool.from_url(url, **bounds)
    asks = Sentinel(known.hosts, sentinel_kwargs=_asking(known, bounds) | {"retry": Retry(NoBackoff(), 0)})  # type: ignore[no-untyped-call]
    return SentinelConnectionPool(known.service, asks, **_options(known), **bounds)  # type: ignore[no-untyped-call]


def client(url: str, *, decode_responses: bool = False, **bounds: Any) -> Any:
    """A client over ``pool``; a context manager."""
    import redis

    return redis.Redis.from_pool(pool(url, decode_responses=decode_responses, **bounds))


def async_pool(url: str, *, most: int, wait: float, **bounds: Any) -> Any:
    """The same for asyncio: at most so many connections, for which callers wait."""
    from redis.asyncio import BlockingConnectionPool
    from redis.asyncio.retry import Retry
    from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool
    from redis.backoff import NoBackoff

    if (known := sentinels(url)) is None:
        return BlockingConnectionPool.from_url(url, max_connections=most, timeout=wait, **bounds)
    asks = Sentinel(known.hosts, sentinel_kwargs=_asking(known, bounds) | {"retry": Retry(NoBackoff(), 0)})  # type: ignore[no-untyped-call]
    knows: Any = SentinelConnectionPool(known.service, asks, **_options(known), **bounds)  # type: ignore[no-untyped-call]
    # ``knows`` only tells who is in charge: it would not wait for a connection
    kind, kept = knows.connection_class, {**knows.connection_kwargs, "connection_pool": knows}

    class Directed(BlockingConnectionPool):
        """Ends its connections with the sentinels, too."""

        async def disconnect(self, inuse_connections: bool = True) -> None:
            await super().disconnect(inuse_connections)
            for sentinel in asks.sentinels:
                await sentinel.connection_pool.disconnect()

    return Directed(connection_class=kind, max_connections=most, timeout=wait, **kept)


def async_client(url: str, *, most: int, wait: float, **bounds: Any) -> Any:
    """A client over ``async_pool``."""
    from redis.asyncio import Redis

    return Redis.from_pool(async_pool(url, most=most, wait=wait, **bounds))


def queue_settings(url: str) -> dict[str, Any]:
    """The same address in django-rq's words."""
    if (known := sentinels(url)) is None:
        return {"URL": url}
    options = _options(known)
    return {
        "SENTINELS": list(known.hosts),
        "MASTER_NAME": known.service,
        **{name.upper(): options.pop(name, None) for name in ("db", "username", "password")},
        "CONNECTION_KWARGS": options,
        "SENTINEL_KWARGS": _asking(known, {}),
    }


def _parts(url: str) -> SplitResult:
    """Raises ``ValueError`` that quotes nothing."""
    try:
        return urlsplit(url)
    except ValueError:
        raise ValueError("it cannot be read as a URL") from None


def _host(text: str) -> tuple[str, int]:
    parts = _parts(f"//{text.strip()}")
    if not parts.hostname:
        raise ValueError("an address of a sentinel is empty")
    try:
        return parts.hostname, parts.port or SENTINEL_PORT
    except ValueError:  # it would quote the port, which may be a password in the wrong place
        raise ValueError("a sentinel's port is no number below 65536") from None


def _options(known: Sentinels) -> dict[str, Any]:
    from redis.connection import parse_url

    dropped = ("host", "port", "connection_class")
    given: dict[str, Any] = parse_url(known.url)  # type: ignore[no-untyped-call]
    options = {name: value for name, value in given.items() if name not in dropped}
    return {**options, "ssl": True} if known.secure else options


def _asking(known: Sentinels, bounds: dict[str, Any]) -> dict[str, Any]:
    patience = bounds.get("socket_connect_timeout") or SENTINEL_PATIENCE
    trust = {name: value for name, value in _options(known).items() if name.startswith("ssl")}
    return {"socket_connect_timeout": patience, "socket_timeout": patience, **known.login, **trust}
