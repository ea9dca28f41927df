"""Django's settings for tests: the real ones, with a home of its own, made before anything reads the environment."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

GIVEN = (
    "DATABASE_URL",
    "TARGET_DATABASE_URL",
    "REDIS_URL",
    "SECRET_KEY",
    "JWT_SECRET",
    "JWKS_URL",
    "UPSTREAM_SUPABASE_URL",
    "AI_BASE_URL",
    "EMAIL_URL",
)
for name in GIVEN:
    os.environ.pop(name, None)
    os.environ.pop(f"{name}_FILE", None)

sys.dont_write_bytecode = False  # we start dozens of processes; compiling Django anew takes each of them two seconds
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

home = Path(tempfile.mkdtemp(prefix="mendgate-tests-"))
home.chmod(0o711)  # Postgres, which does not run as root, passes through
atexit.register(shutil.rmtree, home, ignore_errors=True)
os.environ["MENDGATE_HOME"] = str(home)

from resilience_site.settings import *  # noqa: E402, F403  (the environment had to come first)

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # logging in often, fast
