"""The trial in a process of its own, with bounded memory: libpq holds a whole error or notice before anybody can cut it, and DDL says how
long those are. Where that process dies, the check is refused and the one that serves goes on.

``python -m schema_monitor.impact.apart`` is that process: a ``Job`` on stdin, an ``Answer`` on stdout, as JSON. No Django.
"""

from __future__ import annotations

import logging
import resource
import subprocess
import sys
import traceback
from contextlib import suppress
from pathlib import Path

import msgspec
import psycopg
from msgspec import Struct

from schema_monitor.core.export import Export
from schema_monitor.core.statements import Statement
from schema_monitor.impact.limits import Limits
from schema_monitor.impact.scratch import Busy, Stopped, Unusable, drop, new_name, scratch
from schema_monitor.impact.trial import Trial, try_out

log = logging.getLogger("mendgate.impact")

TOO_LARGE = "The DDL's answer was too large."
_ROOT = Path(__file__).resolve().parents[2]
_GRACE = 30.0
"""Seconds on top of the limits: to connect, and to drop the database."""


class Job(Struct, frozen=True):
    """What ``scratch`` and ``try_out`` are given."""

    control_url: str
    scratch_url: str | None
    name: str
    wanted: Export
    exposed: tuple[str, ...]
    path: tuple[str, ...]
    statements: tuple[Statement, ...]
    limits: Limits


class Answer(Struct, frozen=True):
    """A trial, or the name of what was raised instead."""

    trial: Trial | None = None
    raised: str = ""
    message: str = ""
    fix: str = ""


def try_apart(
    control_url: str,
    scratch_url: str | None,
    wanted: Export,
    exposed: tuple[str, ...],
    path: tuple[str, ...],
    statements: tuple[Statement, ...],
    limits: Limits,
) -> Trial:
    """``try_out`` in a scratch database, elsewhere. Raises what both raise; ``Stopped`` too where that process died or did not end."""
    job = Job(control_url, scratch_url, new_name(scratch_url or control_url), wanted, exposed, path, statements, limits)
    seconds = limits.wait + limits.seconds + _GRACE
    command = [sys.executable, "-m", "schema_monitor.impact.apart"]
    try:
        done = subprocess.run(command, input=msgspec.json.encode(job), stdout=subprocess.PIPE, cwd=_ROOT, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        drop(scratch_url or control_url, job.name)
        raise Stopped(f"It ran longer than {limits.seconds:g} s.") from None
    if done.returncode < 0:
        log.warning("an impact check's process was ended by signal %s", -done.returncode)
        drop(scratch_url or control_url, job.name)
        raise Stopped(TOO_LARGE)
    if done.returncode > 0:
        raise RuntimeError(f"an impact check's process ended with {done.returncode}")
    return _trial(msgspec.json.decode(done.stdout, type=Answer))


def _trial(answer: Answer) -> Trial:
    match answer.raised:
        case "" if answer.trial is not None:
            return answer.trial
        case "Stopped":
            raise Stopped(answer.message)
        case "Busy":
            raise Busy
        case "Unusable":
            raise Unusable(answer.message, answer.fix)
        case "OperationalError":
            raise psycopg.OperationalError(answer.message)
    raise RuntimeError(answer.message)


def _answer(job: Job) -> Answer:
    try:
        with scratch(job.control_url, job.scratch_url, job.limits, job.name) as copy:
            return Answer(try_out(copy, job.wanted, job.exposed, job.path, job.statements, job.limits))
    except MemoryError:
        return Answer(raised="Stopped", message=TOO_LARGE)
    except Unusable as error:
        return Answer(raised="Unusable", message=str(error), fix=error.fix)
    except Stopped as error:
        return Answer(raised="Stopped", message=str(error))
    except Busy:
        return Answer(raised="Busy")
    except psycopg.OperationalError as error:
        return Answer(raised="OperationalError", message=str(error)[:2_000])
    except Exception:
        return Answer(raised="Exception", message=traceback.format_exc()[-10_000:])


def _bound(most: int) -> None:
    """This process takes no more memory than that (where the system knows such a bound)."""
    with suppress(ValueError, OSError):
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def main() -> None:
    """One job."""
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    _bound(job.limits.most_memory)
    try:
        answer = msgspec.json.encode(_answer(job))
    except MemoryError:
        answer = msgspec.json.encode(Answer(raised="Stopped", message=TOO_LARGE))
    sys.stdout.buffer.write(answer)


if __name__ == "__main__":
    main()
