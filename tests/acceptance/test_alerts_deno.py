"""The receiver of the howto, as it is written there, on real Deno: it takes what we signed and nothing else."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from resilience_site.processes import stop
from schema_monitor.alerts.signing import rotate, secrets_of
from schema_monitor.alerts.trial import send_test
from tests.acceptance.deno_cases import BINARY
from tests.integration.alert_rows import subscribed

HOWTO = Path(__file__).parents[2] / "docs/howto/alerts.md"
LISTENS = re.compile(r"http://127\.0\.0\.1:(\d+)/")

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.usefixtures("postgres"),
    pytest.mark.skipif(not BINARY.exists(), reason="no Deno: make clients"),
]


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[tuple[list[subprocess.Popen[str]], Path]]:
    started: list[subprocess.Popen[str]] = []
    yield started, tmp_path
    for process in started:
        stop(process.pid)
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


def listen(receiver: tuple[list[subprocess.Popen[str]], Path], secret: str) -> str:
    """Starts the howto's program with that secret; returns its URL."""
    started, home = receiver
    program = home / "receiver.ts"
    program.write_text(HOWTO.read_text("utf-8").partition("```ts\n")[2].partition("```")[0], "utf-8")
    given = {"DENO_DIR": str(home), "DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1", "DENO_SERVE_ADDRESS": "tcp:127.0.0.1:0"}
    env = {**given, "PATH": os.environ["PATH"], "HOME": str(home), "MENDGATE_WEBHOOK_SECRET": secret}
    words = [str(BINARY), "run", "--check", "--no-lock", "--no-remote", "--allow-net=127.0.0.1", "--allow-env", str(program)]
    process = subprocess.Popen(words, cwd=home, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    started.append(process)
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if found := LISTENS.search(line):
            return f"http://127.0.0.1:{found[1]}/"
    raise AssertionError("".join(lines))


def test_the_receiver_of_the_howto_takes_only_what_is_signed(receiver: tuple[list[subprocess.Popen[str]], Path]) -> None:
    subscription = subscribed("http://127.0.0.1:1/")
    (secret,) = secrets_of(subscription)
    url = listen(receiver, secret)
    other = subscribed(url, name="signed by another secret")
    known = subscribed(url, name="known")
    known.secrets = subscription.secrets
    known.save()
    assert send_test(other).status == 401
    assert send_test(known).status == 204
    rotate(known)
    assert send_test(known).status == 204
