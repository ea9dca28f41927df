"""``manage.py`` as a process of its own for each command, without each paying for the imports.

    commands.run(["capture_schema"], environment)

A program is started once and imports the libraries; for each command it forks a child that becomes ``manage.py`` with the words and
the environment it is given: settings, checks, output and exit code are those of the real thing. Run as a program this file is the
other end: a JSON object {words, environment} a line in, a JSON array [code, stdout, stderr] a line out. It ends with its input.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parent.parent
SLOW = """
asyncpg croniter cryptography.x509 django.contrib.admin.utils django.core.handlers.asgi django.core.management
django.core.serializers.json django.db.backends.postgresql.base django.db.migrations.executor django.db.models django.forms
django.template django.test.client django.urls django.views.generic httpx msgspec psycopg pydantic.json_schema pydantic.types
pydantic._internal._generate_schema rapidfuzz redis.asyncio rq
"""  # libraries that need no settings; none of our own, which read the environment


def run(words: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    server = _server()
    assert server.stdin and server.stdout
    server.stdin.write(json.dumps({"words": list(words), "environment": dict(environment)}) + "\n")
    server.stdin.flush()
    return subprocess.CompletedProcess(["manage.py", *words], *json.loads(server.stdout.readline()))


@functools.cache
def _server() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.commands"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )


def serve() -> None:
    """Answer until the input ends. In a child this returns as well, when its command has ended."""
    for module in SLOW.split():
        importlib.import_module(module)
    for line in sys.stdin:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            child = os.fork()
            if child == 0:
                become(json.loads(line), out, err)
                return
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            print(json.dumps([code, _text(out), _text(err)]), flush=True)  # noqa: T201


def become(asked: dict[str, Any], out: IO[bytes], err: IO[bytes]) -> None:
    """Be ``manage.py`` from here on."""
    for source, standard in ((os.open(os.devnull, os.O_RDONLY), 0), (out.fileno(), 1), (err.fileno(), 2)):
        os.dup2(source, standard)
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv = ["manage.py", *asked["words"]]
    runpy.run_path("manage.py", run_name="__main__")


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


if __name__ == "__main__":
    serve()
