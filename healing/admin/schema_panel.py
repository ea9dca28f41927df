"""The monitor: what watches the schema, how soon a change is seen, whether it really does, and its installation."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from healing import audit
from healing.admin.doors import door
from healing.admin.schema_pages import page, viewing
from healing.permits import CAPTURE, INSTALL_MONITOR
from healing.refusals import Refused
from healing.schema_facts import panel as facts
from schema_monitor import install as installation
from schema_monitor import selftest


@viewing
def panel(request: HttpRequest) -> HttpResponse:
    """State, tests, installation, alerts."""
    return page(
        request, "panel", "Schema monitor", state=facts.state(), alerts=facts.alerts(), recording=facts.recording(),
        may_install=request.user.has_perm(INSTALL_MONITOR), may_capture=request.user.has_perm(CAPTURE),
        may_see_alerts=request.user.has_perm("schema_monitor.view_schemasubscription"),
        sql_to_install=installation.sql_to_install(), sql_to_remove=installation.sql_to_remove(),
    )  # fmt: skip


def test(request: HttpRequest) -> HttpResponse:
    """Looks whether the watching works; with ``canary`` by DDL of our own in schema mendgate."""
    canary = "canary" in request.POST

    def act() -> str:
        found = selftest.run(canary)
        bad = [check.name for check in found if not check.ok]
        return f"Not well: {', '.join(bad)}." if bad else f"All {len(found)} checks are well."

    return door(request, INSTALL_MONITOR if canary else CAPTURE, act, _back())


def install(request: HttpRequest) -> HttpResponse:
    """Installs the DDL log, with the configured login."""

    def act() -> str:
        _change(request, "install")
        return "Installed: changes are logged and seen at once. The watcher takes it up within seconds."

    return door(request, INSTALL_MONITOR, act, _back())


def remove(request: HttpRequest) -> HttpResponse:
    """Takes it away again."""

    def act() -> str:
        _change(request, "remove")
        return "Removed: changes are found by looking now. It is not installed again unasked."

    return door(request, INSTALL_MONITOR, act, _back())


def _change(request: HttpRequest, action: str) -> None:
    """The audit comes first, on its own: what the target does is not in our transaction."""
    if "sure" not in request.POST:
        raise Refused("Nothing was done.", "Tick that you have read the SQL.")
    try:
        audit.record(request.user.get_username(), action, "monitor", "target", why="asked for on the monitor's page")
        installation.install() if action == "install" else installation.remove()
    except installation.Refused as error:
        raise Refused(f"The target refused: {error}", "A superuser can do it: python manage.py install_monitor --url …") from error


def _back() -> str:
    return reverse("admin:schema_panel")
