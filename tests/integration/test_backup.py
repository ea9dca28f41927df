"""docs/howto/backup.md, followed: its commands on real servers, from a living gateway to a fresh one."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from resilience_site.embedded import EmbeddedPostgres, EmbeddedValkey
from resilience_site.embedded_postgres import BINARIES
from resilience_site.embedded_server import EmbeddedServer
from tests import commands
from tests.commands import ROOT
from tests.gateway_process import Gateway

SECRET = "the-secret-that-is-kept-elsewhere-0123456789"
OTHER = "another-secret-that-opens-nothing-0123456789"


def blocks() -> list[str]:
    """The shell blocks of the how-to, in order: back up, restore, afterwards."""
    return re.findall(r"^```sh\n(.*?)^```", (ROOT / "docs/howto/backup.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)


def follow(block: str, **environment: str) -> str:
    """What a shell that stops at the first fault says."""
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "python").symlink_to(sys.executable)
        path = f"{BINARIES}:{Path(sys.executable).parent}:/usr/bin:/bin"
        given = {**environment, "PATH": path, "LC_ALL": "C"}
        done = subprocess.run(["/bin/sh", "-eu"], input=block, cwd=ROOT, env=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def fresh() -> Iterator[EmbeddedPostgres]:
    """A server with nothing in it, not even our roles."""
    with tempfile.TemporaryDirectory(prefix="mendgate-fresh-") as name:
        Path(name).chmod(0o711)
        server = EmbeddedPostgres(Path(name), durable=False)
        EmbeddedServer.start(server)
        yield server
        server.stop()


def moved(url: str, server: EmbeddedPostgres, database: str) -> str:
    """The same login on the other server: its password came along."""
    old = urlsplit(url)
    return f"postgresql://{old.username}:{old.password}@127.0.0.1:{server.state.postgres_port}/{database}"


def test_the_how_to_brings_back_rows_receipts_keys_and_kept_writes(
    make_gateway: Callable[..., Gateway], fresh: EmbeddedPostgres, valkey: EmbeddedValkey, tmp_path: Path, static_files: Path
) -> None:
    back_up, restore, afterwards = blocks()
    old = make_gateway(SECRET_KEY=SECRET).start()
    old.sql("CREATE TABLE people (id int PRIMARY KEY, mail text)")
    old.sql("GRANT ALL ON people TO service_role")
    old.manage("capture_schema")
    written = _write(old)
    old.stop()

    follow(back_up, CONTROL=old.control_url, TARGET=old.owner_url, BACKUP=str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"roles.sql", "control.dump", "target.dump"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.iterdir())

    control, target = fresh.url("mendgate"), fresh.url("app")
    follow(restore, SERVER=fresh.url("postgres"), NEW_CONTROL=control, NEW_TARGET=target, BACKUP=str(tmp_path))

    home = Path(tempfile.mkdtemp(dir=fresh.home))
    (home / "static").symlink_to(static_files)
    addresses = (moved(old.control_url, fresh, "mendgate"), moved(old.target_url, fresh, "app"), target, valkey.url)
    new = Gateway(home, *addresses, SECRET_KEY=SECRET)
    new.cold = False
    settings = {key: new.environment[key] for key in ("MENDGATE_HOME", "DATABASE_URL", "TARGET_DATABASE_URL", "REDIS_URL", "SECRET_KEY")}
    said = follow(afterwards, **settings)
    assert "prepared\n" in said and "1 kept writes wait for a person now" in said and "SECRET_KEY_FALLBACKS may go" in said
    try:
        _is_back(new.start(), written)
    finally:
        new.stop()
    without = {**new.environment, "SECRET_KEY": OTHER, "DJANGO_SETTINGS_MODULE": "resilience_site.settings"}
    closed = commands.run(["reseal", "--check"], without)
    assert closed.returncode == 1 and "1 that no secret opens" in closed.stdout


def _write(old: Gateway) -> dict[str, str]:
    """A healthy write with a key, a healed one, a kept one; what is told about them later."""
    with old.client() as client:
        assert client.post("/rest/v1/people", json={"id": 1, "mail": "a"}, headers={"Idempotency-Key": "once"}).status_code == 201
        old.sql("ALTER TABLE people RENAME mail TO mail_address")
        old.manage("capture_schema")
        healed = client.post("/rest/v1/people", json={"id": 2, "mail": "b"})
        assert healed.status_code == 201 and "rename_column" in healed.headers["Mendgate-Healed"]
        kept = client.post("/rest/v1/people", json={"id": 3, "colour": "red"}, headers={"Prefer": "quarantine=accept"})
        assert kept.status_code == 202
    return {"key": old.make_key(), "receipt": healed.headers["Mendgate-Receipt"], "kept": kept.headers["Mendgate-Quarantine"]}


def _is_back(new: Gateway, written: dict[str, str]) -> None:
    headers = {"apikey": written["key"]}
    with httpx.Client(base_url=new.base_url, headers=headers, timeout=60) as client:
        assert client.get("/rest/v1/people?order=id").json() == [{"id": 1, "mail_address": "a"}, {"id": 2, "mail_address": "b"}]
        again = client.post("/rest/v1/people", json={"id": 1, "mail": "a"}, headers={"Idempotency-Key": "once"})
        assert again.headers["Mendgate-Idempotent"] == "replayed" and again.status_code == 201
        receipt = client.get(f"/api/v1/receipts/{written['receipt']}").json()
        assert receipt["sent"] == [{"id": 2, "mail": "b"}] and receipt["outcome"] == "committed"
        kept = client.get(f"/api/v1/quarantine/{written['kept']}").json()
        assert kept["state"] == "parked" and kept["payload"] == [{"id": 3, "colour": "red"}]
        # A dump gave the table another identity: the old name is no longer known to be the new one, and nothing is guessed.
        assert client.post("/rest/v1/people", json={"id": 4, "mail": "d"}).status_code == 400
        assert client.post("/rest/v1/people", json={"id": 5, "mail_address": "e"}).status_code == 201


def test_every_command_of_the_how_to_is_one_that_is_shipped() -> None:
    programs = {line.split()[0] for block in blocks() for line in block.splitlines() if line.startswith(("pg_", "psql"))}
    assert programs and all(shutil.which(program, path=str(BINARIES)) for program in programs)
