"""The monitor: what watches the schema, how soon a change is seen, whether it really does, and its installation."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from healing.admin.schema_pages import page, viewing
from healing.permits import CAPTURE, INSTALL_MONITOR
from healing.schema_facts import panel as facts


@viewing
def panel(request: HttpRequest) -> HttpResponse:
    """State, tests, installation, alerts."""
    return page(
        request, "panel", "Schema monitor", state=facts.state(), alerts=facts.alerts(), recording=facts.recording(),
        may_install=request.user.has_perm(INSTALL_MONITOR), may_capture=request.user.has_perm(CAPTURE),
        may_see_alerts=request.user.has_perm("schema_monitor.view_schemasubscription"),
    )  # fmt: skip
