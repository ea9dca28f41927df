#!/usr/bin/env python
"""The command line. ``python manage.py help`` lists the commands; ``up`` runs everything."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run one command; a database that is not there is a sentence with the fix, not a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "resilience_site.settings")
    from django.core.management import execute_from_command_line
    from django.db import OperationalError

    try:
        execute_from_command_line(sys.argv)
    except OperationalError as error:
        from resilience_site.unreachable import explain

        sys.exit(explain(error))


if __name__ == "__main__":
    main()
