"""Makes the scratch Mendgate's databases ready and prints an API key: ``python -m resilience_site.gameday.prepare``, in its environment."""

from __future__ import annotations

import os
import sys
from io import StringIO

import django


def main() -> None:
    """1. migrate, 2. set up the target with its DDL log, 3. a key, 4. the first schema version."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "resilience_site.settings"
    django.setup()
    from django.core.management import call_command

    from resilience_site import monitor_setup, target_setup
    from resilience_site.config import config

    settings, owner, key = config(), os.environ["GAMEDAY_OWNER_URL"], StringIO()
    call_command("migrate", verbosity=0, interactive=False, skip_checks=True)
    target_setup.prepare(settings.target_database_url, settings.exposed_schemas, owner)
    monitor_setup.prepare(owner, settings.target_database_url)
    call_command("create_api_key", role="service_role", name="game day", stdout=key, skip_checks=True)
    call_command("capture_schema", verbosity=0, skip_checks=True, stdout=StringIO())
    sys.stdout.write(key.getvalue())


if __name__ == "__main__":
    main()
