"""Makes the site an app, so that its commands and checks are found."""

from __future__ import annotations

from django.apps import AppConfig


class SiteConfig(AppConfig):
    """Composition only: no models."""

    name = "resilience_site"
    verbose_name = "Mendgate"

    def ready(self) -> None:
        """Register the system checks."""
        from resilience_site import checks  # noqa: F401
