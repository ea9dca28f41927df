"""Makes the site an app, so that its commands and checks are found."""

from __future__ import annotations

from django.apps import AppConfig


class SiteConfig(AppConfig):
    """Composition only: no models."""

    name = "resilience_site"
    verbose_name = "Mendgate"

    def ready(self) -> None:
        """Register the system checks, and give the gateway's code its settings: workers replay with it."""
        from resilience_site import checks, monitor_setup, wiring
        from resilience_site.config import config

        checks.register_all()
        wiring.connect(config())
        monitor_setup.configure(config())
