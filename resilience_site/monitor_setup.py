"""The DDL log of the target: installed where a login may, by ``up``, ``doctor --fix`` and ``install_monitor``; looked at by ``doctor``."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

from resilience_site import embedded_state
from resilience_site.config import Config
from resilience_site.target_setup import Finding, TargetError, connected
from schema_monitor import consent, install

POLLED = "changes are found by polling, within about a second"
BY_HAND = "python manage.py install_monitor --url postgresql://SUPERUSER@…"


def owner_url(config: Config) -> str:
    """The login that may install: the owner of an embedded target, else the one that is configured."""
    return embedded_state.load(config.home).owner_url if config.embedded_target else config.target_database_url


def configure(config: Config) -> None:
    """Tell the schema monitor how to reach the target."""
    install.configure(lambda: install.Logins(owner_url(config), config.target_database_url))


def prepare_unless_removed(owner: str, gateway: str) -> str | None:
    """The same as ``prepare``, but not where somebody took the log away on purpose."""
    if (since := consent.withdrawn()) is not None:
        return f"The DDL log was removed on {since:%Y-%m-%d}, so {POLLED}. To have it again: python manage.py install_monitor"
    return prepare(owner, gateway)


def prepare(owner: str, gateway: str) -> str | None:
    """Install with ``owner`` for ``gateway`` (URLs). None when done; else why not, in a sentence: then we poll, and all else works."""
    try:
        with connected(owner) as connection:
            install.install(connection, install.role_of(gateway))
    except (install.Refused, TargetError, psycopg.Error) as error:
        reason = str(error).strip().split("\n", 1)[0].rstrip(".")
        return f"The DDL log is not installed: {reason}. So {POLLED}. To have them at once, run as a superuser: {BY_HAND}"
    return None


def examine(config: Config) -> Iterator[Finding]:
    """Look at it, as the gateway's login. Doing without is no fault."""
    with connected(config.target_database_url) as target:
        found = install.look(target)
    if found.works:
        yield Finding("DDL log", True, "changes are seen at once" if found.notifies else f"names are kept, and {POLLED} (mendgate.notify)")
    elif found.readable or found.filled:
        fault = "its event triggers are missing or disabled" if found.readable else "we may not read it"
        yield Finding("DDL log", False, fault, BY_HAND)
    else:
        yield Finding("DDL log", True, f"not installed: {POLLED}. To have them at once: {BY_HAND}")
