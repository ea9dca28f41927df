"""The control plane's own connection to the target database, as the login role; never used for what callers ask without SET ROLE."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from healing.gateway.settings import current


@contextmanager
def target_connection() -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A connection in autocommit mode, closed afterwards. ``psycopg.OperationalError`` when the target is away."""
    url, name = current().target_database_url, "mendgate-control"
    with psycopg.connect(url, autocommit=True, connect_timeout=5, prepare_threshold=None, application_name=name) as connection:
        yield connection
