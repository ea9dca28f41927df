"""``tests.forked``: a program that is forked begins, ends and is found as one that Python started."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests import commands
from tests.forked import Forked, is_late
from tests.gateway_process import launch

TELLS = "import os, sys; print(sys.argv[1:], os.environ['TOLD'], os.getpid() == os.getsid(0), sys.stdin.read(), flush=True)\n"
HERE = dict(os.environ)


def started(folder: Path, program: str, environment: Mapping[str, str] = HERE) -> Forked:
    (folder / "program.py").write_text(program)
    return commands.programs().start([str(folder / "program.py"), "a", "b c"], environment, folder / "log")


@pytest.mark.parametrize(
    ("program", "code", "said"),
    [
        ("", 0, ""),
        ("raise SystemExit", 0, ""),
        ("raise SystemExit(7)", 7, ""),
        ("raise SystemExit('a reason')", 1, "a reason\n"),
        ("import atexit; atexit.register(print, 'at last'); print('first')", 0, "first\nat last\n"),
        ("import threading, time; threading.Thread(target=lambda: (time.sleep(0.2), print('late'))).start()", 0, "late\n"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9, ""),
    ],
)
def test_it_ends_as_python_ends(tmp_path: Path, program: str, code: int, said: str) -> None:
    assert started(tmp_path, program).wait() == code
    assert (tmp_path / "log").read_text() == said


def test_what_it_did_not_catch_is_in_its_log(tmp_path: Path) -> None:
    assert started(tmp_path, "1 / 0").wait() == 1
    assert "ZeroDivisionError" in (tmp_path / "log").read_text()


def test_words_environment_session_and_an_empty_input_are_its_own(tmp_path: Path) -> None:
    assert started(tmp_path, TELLS, {**HERE, "TOLD": "this one only"}).wait() == 0
    assert (tmp_path / "log").read_text() == "['a', 'b c'] this one only True \n"


def test_it_can_be_waited_for_told_to_stop_and_killed(tmp_path: Path) -> None:
    process = started(tmp_path, "import time; time.sleep(600)")
    assert process.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == -signal.SIGTERM
    process.kill()  # nobody is hit who got the number since
    other = started(tmp_path, "import time; time.sleep(600)")
    os.killpg(other.pid, signal.SIGKILL)
    assert other.wait() == -signal.SIGKILL


def test_what_speaks_to_python_or_the_loader_starts_cold(tmp_path: Path) -> None:
    assert is_late({**HERE, "PORT": "1"})
    for name in ("PYTHONHASHSEED", "LD_PRELOAD", "TZ"):
        assert not is_late({**HERE, name: "1"})
    (tmp_path / "program.py").write_text("import sys; print(sys.flags.hash_randomization)")
    cold = launch([str(tmp_path / "program.py")], {**HERE, "PYTHONHASHSEED": "0"}, tmp_path / "log")
    assert isinstance(cold, subprocess.Popen) and cold.wait() == 0
    assert (tmp_path / "log").read_text() == "0\n"
