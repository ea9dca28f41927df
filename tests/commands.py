"""``manage.py`` as a process of its own for each command, without each paying for the imports and for Django's start.

    commands.run(["capture_schema"], environment)

A program is started once and imports the libraries. For each environment it forks a server that loads the settings and the apps, and
that forks a child for each command, which becomes ``manage.py``: checks, output and exit code are those of the real thing. Run as a
program this file is the other end: a JSON object {words, environment} a line in, a JSON array [code, stdout, stderr] a line out. All
ends with its input. Programs that go on (``tests.forked``) come from the same imports.
"""

from __future__ import annotations

import functools
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import IO, NamedTuple

from tests import forked
from tests.forked import ROOT

SLOW = """
aiohttp asyncpg croniter cryptography.x509 django.contrib.admin.utils django.core.handlers.asgi django.core.management
django.core.serializers.json django.db.backends.postgresql.base django.db.migrations.executor django.db.models django.forms
django.template django.test.client django.urls django.views.generic granian granian.server httpx jwt msgspec psycopg
pydantic.json_schema pydantic.types pydantic._internal._generate_schema rapidfuzz redis.asyncio rq rq.cron uvloop
"""  # libraries that need no settings; none of our own, which read the environment
SERVERS = 6  # kept; the one that was asked longest ago goes


class Server(NamedTuple):
    """A process that answers lines."""

    pid: int
    asks: IO[str]
    answers: IO[str]


def run(words: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    server, _ = _started()
    assert server.stdin and server.stdout
    server.stdin.write(json.dumps({"words": list(words), "environment": dict(environment)}) + "\n")
    server.stdin.flush()
    return subprocess.CompletedProcess(["manage.py", *words], *json.loads(server.stdout.readline()))


def stop() -> None:
    """End what ``run`` started, if anything; what ``programs`` started goes on."""
    if _started.cache_info().currsize:
        server, starter = _started()
        starter.close()
        server.communicate()
        _started.cache_clear()


def programs() -> forked.Starter:
    """Starts programs that go on."""
    return _started()[1]


@functools.cache
def _started() -> tuple[subprocess.Popen[str], forked.Starter]:
    (theirs, asks), (answers, ours) = os.pipe(), os.pipe()
    words = [sys.executable, "-m", "tests.commands", str(theirs), str(ours)]
    how = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "start_new_session": True, "pass_fds": (theirs, ours)}
    server = subprocess.Popen(words, cwd=ROOT, text=True, **how)  # type: ignore[call-overload]
    os.close(theirs)
    os.close(ours)
    return server, forked.Starter(os.fdopen(asks, "w"), os.fdopen(answers))


def main(theirs: int, ours: int) -> Callable[[], object]:
    """Hand each line to the server of its environment. What is returned in this process or in a child is to be done last."""
    for module in SLOW.split():
        importlib.import_module(module)
    gc.freeze()  # so that the children share these pages
    if os.fork() == 0:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(2, 1)
        return forked.serve(os.fdopen(theirs), os.fdopen(ours, "w"))
    os.close(theirs)
    os.close(ours)
    servers: dict[str, Server] = {}
    for line in sys.stdin:
        environment = json.loads(line)["environment"]
        key = json.dumps(environment, sort_keys=True)
        server = servers.pop(key, None)
        if server is None:
            (theirs, asks), (answers, ours) = os.pipe(), os.pipe()
            if (pid := os.fork()) == 0:
                return functools.partial(_serve_one, environment, os.fdopen(theirs), os.fdopen(ours, "w"))
            os.close(theirs)
            os.close(ours)
            server = Server(pid, os.fdopen(asks, "w"), os.fdopen(answers))
        servers[key] = server
        print(_asked(server, line), end="", flush=True)  # noqa: T201
        if len(servers) > SERVERS:
            _stop(servers.pop(next(iter(servers))))
    for server in servers.values():
        _stop(server)
    return lambda: None


def _asked(server: Server, line: str) -> str:
    server.asks.write(line)
    server.asks.flush()
    return server.answers.readline()


def _stop(server: Server) -> None:
    os.kill(server.pid, signal.SIGTERM)
    os.waitpid(server.pid, 0)
    server.asks.close()
    server.answers.close()


def _serve_one(environment: dict[str, str], lines: Iterable[str], answers: IO[str]) -> None:
    os.dup2(2, 1)  # nothing printed by the way may look like an answer
    os.environ.clear()
    os.environ.update(environment)
    start = _become if _is_prepared() else _become_anew
    gc.freeze()
    for line in lines:
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            if (child := os.fork()) == 0:
                for source, standard in ((os.open(os.devnull, os.O_RDONLY), 0), (out.fileno(), 1), (err.fileno(), 2)):
                    os.dup2(source, standard)
                start(["manage.py", *json.loads(line)["words"]])
                return
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            print(json.dumps([code, _text(out), _text(err)]), file=answers, flush=True)


def _is_prepared() -> bool:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "resilience_site.settings")
    try:
        importlib.import_module("django").setup()
        importlib.import_module("resilience_site.urls")
    except (Exception, SystemExit):
        return False  # a wrong environment: the command shall say it
    return True


def _become(words: list[str]) -> None:
    forked.to_the_end(lambda: forked.run(words))


def _become_anew(words: list[str]) -> None:
    os.execv(sys.executable, [sys.executable, *words])  # noqa: S606


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))()
