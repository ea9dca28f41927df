"""One real Postgres and one real Valkey for the whole run; fresh databases for each test that asks.

``target_url``   a target as the gateway logs in (authenticator), with Supabase's roles and schema ``mendgate``
``owner_url``    the same database as its owner; ``owner`` is an open autocommit connection to it
``control_url``  a migrated, empty control database
``valkey_url``   an empty Valkey database
``gateway``      the real web process on fresh databases; ``shared_gateway`` is one for the whole run
``local_model``  the base URL of a small real language model
"""

from __future__ import annotations

import gc
import inspect
import itertools
import os
import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
import redis
from django.core.management import call_command
from django.db import connection
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from psycopg import sql
from pytest_django import DjangoDbBlocker

from resilience_site import embedded_databases, monitor_setup, target_setup
from resilience_site.config import config
from resilience_site.embedded import EmbeddedPostgres, EmbeddedValkey
from resilience_site.embedded_state import CONTROL, GATEWAY, OWNER
from tests import commands, emptying
from tests.again import pytest_runtestloop, pytest_terminal_summary
from tests.gateway_process import Gateway
from tests.local_model import local_model
from tests.waiting import HANGS

__all__ = ["local_model", "pytest_runtestloop", "pytest_terminal_summary"]

CONTROL_TEMPLATE = "control_template"
TARGET_TEMPLATE = "target_template"
numbers = itertools.count(1)

# How long one example takes says how busy the machine is, no more.
hypothesis_settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("any machine")
vars(inspect.signature(httpx.get).parameters["timeout"].default).update(httpx.Timeout(HANGS).as_dict())  # httpx gives up after 5 s


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Processes to test in (``-n`` says otherwise): the whole suite takes one more than there are cores, as many tests wait."""
    some = config.args != config.getini("testpaths") or any(config.getoption(name, False) for name in ("keyword", "lf", "failedfirst"))
    return 0 if some else (os.cpu_count() or 1) + 1


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Generator[None, object, object]:
    """Thousands of tests and the code they import stay to the end: nobody looks for garbage among them, now or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_unconfigure() -> None:
    """Leave nothing behind. (Processes of xdist end without ``atexit``.)"""
    commands.stop()
    shutil.rmtree(config().home, ignore_errors=True)


@pytest.fixture(scope="session")
def home() -> Path:
    """MENDGATE_HOME of this run; removed at the end (tests/settings.py)."""
    return config().home


@pytest.fixture(scope="session")
def postgres(home: Path) -> Iterator[EmbeddedPostgres]:
    """The one Postgres of this run."""
    with EmbeddedPostgres(home, durable=False) as server:
        assert server.control_url == config().database_url, "another program took our port: run again"
        with psycopg.connect(server.url("postgres"), autocommit=True) as owner:
            owner.execute("ALTER ROLE mendgate CREATEDB")
        yield server


@pytest.fixture(scope="session")
def valkey(home: Path) -> Iterator[EmbeddedValkey]:
    """The one Valkey of this run."""
    with EmbeddedValkey(home) as server:
        yield server


@pytest.fixture
def valkey_url(valkey: EmbeddedValkey) -> str:
    """An empty Valkey."""
    with redis.Redis.from_url(valkey.url) as client:
        client.flushall()
    return valkey.url


@pytest.fixture(scope="session")
def django_db_modify_db_settings(templates: EmbeddedPostgres) -> None:
    """Django's own test database lives on the same Postgres and is a copy, too."""
    connection.settings_dict["TEST"]["TEMPLATE"] = CONTROL_TEMPLATE


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """Its test database is emptied after each test that commits; the audit, which nobody may empty, would object."""
    emptying.be_quick()
    with django_db_blocker.unblock(), connection.cursor() as cursor:
        cursor.execute("ALTER TABLE healing_decision DISABLE TRIGGER never_emptied")


@pytest.fixture(scope="session")
def templates(postgres: EmbeddedPostgres) -> EmbeddedPostgres:
    """A migrated control database and a set-up target, to copy from."""
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as owner:
        embedded_databases.make_database(owner, CONTROL_TEMPLATE, owned_by=CONTROL)
    environment = {
        **os.environ,
        "DATABASE_URL": postgres.url(CONTROL_TEMPLATE, CONTROL),
        "DJANGO_SETTINGS_MODULE": "resilience_site.settings",
    }
    migrated = commands.run(["migrate", "--verbosity=0", "--skip-checks"], environment)
    assert migrated.returncode == 0, migrated.stderr
    embedded_databases.make_target(postgres.state, TARGET_TEMPLATE)
    gateway, owner_url = postgres.url(TARGET_TEMPLATE, GATEWAY), postgres.url(TARGET_TEMPLATE, OWNER)
    target_setup.prepare(gateway, ["public"], owner_url)
    assert monitor_setup.prepare(owner_url, gateway) is None
    return postgres


@pytest.fixture(scope="session")
def make_control(templates: EmbeddedPostgres) -> Callable[[], str]:
    """Makes a fresh control database; returns its name."""

    def make() -> str:
        name = f"control_{next(numbers)}"
        with psycopg.connect(templates.url("postgres"), autocommit=True) as owner:
            embedded_databases.make_database(owner, name, owned_by=CONTROL, template=CONTROL_TEMPLATE)
        return name

    return make


@pytest.fixture(scope="session")
def make_target(templates: EmbeddedPostgres) -> Callable[[], str]:
    """Makes a fresh target; returns its name."""

    def make() -> str:
        name = f"target_{next(numbers)}"
        with psycopg.connect(templates.url("postgres"), autocommit=True) as owner:
            embedded_databases.make_database(owner, name, template=TARGET_TEMPLATE)
            owner.execute(sql.SQL("GRANT CREATE ON DATABASE {} TO authenticator").format(sql.Identifier(name)))
        return name

    return make


@pytest.fixture(scope="session")
def make_databases(make_control: Callable[[], str], make_target: Callable[[], str]) -> Callable[[], tuple[str, str]]:
    """Makes a control database and a target, both fresh; returns their names."""
    return lambda: (make_control(), make_target())


@pytest.fixture
def control_name(make_control: Callable[[], str]) -> str:
    """The name of this test's control database."""
    return make_control()


@pytest.fixture
def target_name(make_target: Callable[[], str]) -> str:
    """The name of this test's target."""
    return make_target()


@pytest.fixture
def databases(control_name: str, target_name: str) -> tuple[str, str]:
    """Names of this test's control database and target."""
    return control_name, target_name


@pytest.fixture
def control_url(control_name: str, postgres: EmbeddedPostgres) -> str:
    """This test's control database: migrated, empty."""
    return postgres.url(control_name, CONTROL)


@pytest.fixture
def target_url(target_name: str, postgres: EmbeddedPostgres) -> str:
    """This test's target, as the gateway logs in."""
    return postgres.url(target_name, GATEWAY)


@pytest.fixture
def owner_url(target_name: str, postgres: EmbeddedPostgres) -> str:
    """This test's target, as its owner."""
    return postgres.url(target_name, OWNER)


@pytest.fixture
def owner(owner_url: str) -> Iterator[psycopg.Connection]:
    """A connection to this test's target as its owner, each statement committed at once."""
    with psycopg.connect(owner_url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def static_files(home: Path) -> Path:
    """The static files, collected once."""
    call_command("collectstatic", verbosity=0, interactive=False, skip_checks=True)
    return home / "static"


@pytest.fixture(scope="session")
def gateway_maker(
    make_control: Callable[[], str],
    make_target: Callable[[], str],
    postgres: EmbeddedPostgres,
    valkey: EmbeddedValkey,
    home: Path,
    static_files: Path,
) -> Callable[..., Gateway]:
    """Makes gateways that are not started yet; keywords are environment variables. Whoever starts one stops it."""

    def make(**environment: str) -> Gateway:
        control, target = make_control(), make_target()
        own = home / control
        own.mkdir()
        (own / "static").symlink_to(static_files)
        urls = (postgres.url(control, CONTROL), postgres.url(target, GATEWAY), postgres.url(target, OWNER))
        gateway = Gateway(own, *urls, valkey.url, **environment)
        gateway.cold = False
        return gateway

    return make


@pytest.fixture(scope="module")
def make_gateway(gateway_maker: Callable[..., Gateway]) -> Iterator[Callable[..., Gateway]]:
    """The same; what still runs at the end of the module is ended, for each costs a hundredth of a core."""
    made: list[Gateway] = []

    def make(**environment: str) -> Gateway:
        made.append(gateway_maker(**environment))
        return made[-1]

    yield make
    for gateway in made:
        gateway.kill9()


@pytest.fixture
def gateway(make_gateway: Callable[..., Gateway]) -> Iterator[Gateway]:
    """A running gateway of this test's own."""
    gateway = make_gateway().start()
    yield gateway
    gateway.stop()


@pytest.fixture(scope="session")
def shared_gateway(gateway_maker: Callable[..., Gateway]) -> Iterator[Gateway]:
    """A running gateway that tests share: make tables of your own."""
    gateway = gateway_maker().start()
    yield gateway
    gateway.kill9()
