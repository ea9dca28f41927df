#!/usr/bin/env python
"""The command line. ``python manage.py help`` lists the commands; ``up`` runs everything."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

OURS = Path(__file__).resolve().parent / ".venv"


def main() -> None:
    """Run one command; a database that is not there is a sentence with the fix, not a traceback."""
    use_ours()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "resilience_site.settings")
    from django.core.management import execute_from_command_line
    from django.db import OperationalError

    try:
        execute_from_command_line(sys.argv)
    except OperationalError as error:
        from resilience_site.unreachable import explain

        sys.exit(explain(error))


def use_ours() -> None:
    """Go on as the virtual environment that ``make`` made, where whichever ``python`` this is lacks what we need."""
    if find_spec("unfold"):
        return
    python = str(OURS / "bin" / "python")
    if os.access(python, os.X_OK) and Path(sys.prefix) != OURS:
        os.execv(python, [python, *sys.argv])  # noqa: S606  (ourselves)
    sys.exit(f"This Python ({sys.executable}) lacks what Mendgate needs.\nInstall it, once, with: make install")


if __name__ == "__main__":
    main()
