"""Makes a home ready to serve: tables, target, static files, the first administrator and the first key."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from io import StringIO

from django.contrib.auth import get_user_model
from django.core.management import call_command

from healing.models import ApiKey
from resilience_site import monitor_setup, target_setup
from resilience_site.config import Config

ADMIN = "admin"


def prepare(config: Config) -> Iterator[str]:
    """Do every step that is due; yields what a person should read, credentials exactly once.

    1. the databases, 2. collect static files, 3. make an administrator unless there is one, 4. make an API key unless there is one, 5. read
    the target's schema.
    """
    yield from prepare_databases(config)
    call_command("collectstatic", verbosity=0, interactive=False, skip_checks=True)
    if (password := _first_administrator()) is not None:
        yield f"admin user: {ADMIN} password: {password} (shown once)"
    if (key := _first_key()) is not None:
        yield f"API key: {key} (service_role, shown once)"
    call_command("capture_schema", verbosity=0, skip_checks=True, stdout=StringIO())


def prepare_databases(config: Config) -> Iterator[str]:
    """1. migrate the control database, 2. set up the target, 3. and its DDL log. Yields what a person should read."""
    call_command("migrate", verbosity=0, interactive=False, skip_checks=True)
    owner = monitor_setup.owner_url(config)
    target_setup.prepare(config.target_database_url, config.exposed_schemas, owner)
    if (why_not := monitor_setup.prepare_unless_removed(owner, config.target_database_url)) is not None:
        yield why_not


def _first_administrator() -> str | None:
    users = get_user_model()._default_manager
    if users.filter(is_superuser=True).exists():
        return None
    password = secrets.token_urlsafe(12)
    users.create_superuser(username=ADMIN, email="", password=password)
    return password


def _first_key() -> str | None:
    if ApiKey.objects.exists():
        return None
    out = StringIO()
    call_command("create_api_key", role="service_role", name="first", stdout=out, skip_checks=True)
    return out.getvalue().strip()
