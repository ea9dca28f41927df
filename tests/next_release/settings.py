"""The settings of the next release."""

from __future__ import annotations

from resilience_site.settings import *  # noqa: F403
from resilience_site.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "tests.next_release"]
