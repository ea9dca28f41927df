"""A Valkey that is a node of a cluster is refused where a program starts that cannot work without it (worker, scheduler, ``up``).

The web process serves without any Valkey, so it says it in its log instead, and goes on.
"""

from __future__ import annotations

from breakers import valkey_address

PATIENCE = 0.5
"""Seconds: whether it answers at all is found out later, by whoever needs it."""


class ClusterRefused(Exception):
    """Valkey is a node of a cluster. The message says what to do."""


def is_cluster(client: object) -> bool:
    """Whether that client speaks with a node of a cluster."""
    info = client.info("cluster")  # type: ignore[attr-defined]
    return str(info.get("cluster_enabled", 0)) == "1"


def require_one(url: str) -> None:
    """Raises ``ClusterRefused``. Silent where Valkey does not answer, or may not be asked."""
    from redis.exceptions import RedisError

    try:
        with valkey_address.client(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE) as client:
            cluster = is_cluster(client)
    except (RedisError, OSError):
        return
    if cluster:
        raise ClusterRefused(f"REDIS_URL leads to a node of a Valkey Cluster, which cannot be used. {valkey_address.INSTEAD_OF_CLUSTER}")
