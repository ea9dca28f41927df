"""Installing and removing the DDL log by hand, what is remembered of it, and the self-test."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO

import psycopg
import pytest
from django.conf import LazySettings
from django.core.management import call_command

from resilience_site import monitor_setup
from schema_monitor import consent, install, selftest
from schema_monitor.models import SchemaChange
from schema_monitor.monitor_models import MonitorState
from tests.integration.watching import point_at, state, wait_for, wait_for_detector, wait_for_epoch, watching

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def logins(settings: LazySettings, target_url: str, owner_url: str) -> Iterator[None]:
    """This test's target is the configured one."""
    point_at(settings, target_url)
    before = list(install._logins)
    install.configure(lambda: install.Logins(owner_url, target_url))
    yield
    install._logins[:] = before


def said(*words: str) -> str:
    out = StringIO()
    call_command(*words, skip_checks=True, stdout=out)
    return out.getvalue()


def test_what_would_be_run_is_shown_and_nothing_happens(owner: psycopg.Connection) -> None:
    assert "CREATE EVENT TRIGGER mendgate_ddl" in said("install_monitor", "--show") == install.sql_to_install()
    assert "DROP EVENT TRIGGER" in said("remove_monitor", "--show")
    assert install.look(owner).works


def test_a_removal_is_remembered_until_somebody_installs_it_again(owner: psycopg.Connection, owner_url: str, target_url: str) -> None:
    assert "stays away" in said("remove_monitor")
    assert consent.withdrawn() is not None
    assert "was removed on" in str(monitor_setup.prepare_unless_removed(owner_url, target_url))
    assert not install.look(owner).filled
    assert "is installed" in said("install_monitor")
    assert consent.withdrawn() is None
    assert install.look(owner).works
    assert monitor_setup.prepare_unless_removed(owner_url, target_url) is None


def test_a_removal_on_purpose_is_no_alarm_and_says_so(owner: psycopg.Connection) -> None:
    with watching():
        wait_for_detector("listen")
        install.remove()
        wait_for_epoch(2)
        wait_for(lambda: state().detector == "counters")
        assert "removed on purpose" in state().why_not[0]
        install.install()
        wait_for_detector("listen")
    changes = [(change.kind, change.severity) for change in SchemaChange.objects.order_by("id")]
    assert changes == [("monitor_removed", "low"), ("monitor_on", "low")]


def test_a_login_that_may_not_is_refused_with_the_reason(owner: psycopg.Connection, target_url: str) -> None:
    install.configure(lambda: install.Logins(target_url, target_url))
    with pytest.raises(install.Refused):
        install.install()


def test_the_self_test_with_a_canary_is_all_well(owner: psycopg.Connection) -> None:
    with watching():
        wait_for_detector("listen")
        found = {check.name: check for check in selftest.run(canary=True)}
    assert all(check.ok for check in found.values()), found
    assert set(found) == {"watcher", "event triggers", "DDL log", "notifications", "canary"}
    assert "Seen after" in found["canary"].detail
    assert MonitorState.objects.get().self_test[0]["name"] == "watcher"
    assert owner.execute("SELECT to_regclass('mendgate.canary')").fetchone() == (None,)
    assert not SchemaChange.objects.exists()


def test_the_self_test_says_what_is_wrong_and_how_to_mend_it(owner: psycopg.Connection) -> None:
    owner.execute("ALTER EVENT TRIGGER mendgate_drop DISABLE")
    owner.execute("REVOKE ALL ON mendgate.ddl_log FROM authenticator")
    found = {check.name: check for check in selftest.run()}
    assert not found["watcher"].ok and "watch_schema" in found["watcher"].fix
    assert not found["event triggers"].ok and "install_monitor" in found["event triggers"].fix
    assert not found["DDL log"].ok
    assert found["notifications"].ok


def test_the_self_test_of_a_target_that_is_away_says_so(settings: LazySettings) -> None:
    point_at(settings, "postgresql://nobody@127.0.0.1:1/none")
    checks = selftest.run(canary=True)
    assert (checks[-1].name, checks[-1].ok) == ("target", False)
