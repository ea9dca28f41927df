"""Row 7 of docs/reliability.md: the disk of the target is full. The target has a server of its own on a small file system in memory."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from resilience_site import target_setup
from resilience_site.embedded import EmbeddedPostgres
from resilience_site.embedded_state import GATEWAY, OWNER, TARGET
from tests.faults.crowd import TABLES, Crowd, tables, wait_for
from tests.gateway_process import Gateway
from tests.ledger import End, Heard, Ledger, send, settle

SEED = 20261128
SMALL = 256 << 20
FULL = "53100"


@pytest.fixture(scope="module")
def disk(home: Path) -> Iterator[Path]:
    """A small file system; the tests are skipped where none can be made. (Not below pytest's directory, which each start of pytest
    closes again for Postgres, who is somebody else.)"""
    place = home / "small disk"
    place.mkdir()
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if mount is None or umount is None or os.geteuid() != 0:
        pytest.skip("a full disk needs a small file system, and only root may mount one")
    made = subprocess.run([mount, "-t", "tmpfs", "-o", f"size={SMALL},mode=755", "small", place], capture_output=True, check=False)
    if made.returncode:
        pytest.skip(f"a full disk needs a small file system, and none can be mounted here: {made.stderr.decode().strip()}")
    try:
        yield place
    finally:
        subprocess.run([umount, "--lazy", place], check=True)


@pytest.fixture(scope="module")
def gateway(disk: Path, make_gateway: Callable[..., Gateway]) -> Iterator[Gateway]:
    """A gateway whose target is on the small disk; its control database is elsewhere, and well."""
    with EmbeddedPostgres(disk / "home") as server:
        target, owner = server.url(TARGET, GATEWAY), server.url(TARGET, OWNER)
        target_setup.prepare(target, ["public"], owner)
        gateway = make_gateway(TARGET_DATABASE_URL=target)
        gateway.target_url, gateway.owner_url = target, owner
        yield tables(gateway).start()
        gateway.stop()


def test_fault_07_a_full_disk_is_503_and_not_ready_and_it_goes_on_by_itself(disk: Path, gateway: Gateway) -> None:
    ledger = Ledger(SEED)
    filler = disk / "filler"
    with gateway.client() as client, Crowd(gateway, ledger, size=3) as crowd:
        crowd.more(20)
        fill(disk, filler)
        wait_for(lambda: send_large(ledger, client, f"until-{len(ledger.wants)}").code == FULL)
        told = [send_large(ledger, client, f"large-{number}") for number in range(5)]
        assert {(each.status, each.code) for each in told} == {(503, FULL)}
        assert send_large(ledger, client, "accepted", Prefer="quarantine=accept").status == 202
        ready = httpx.get(f"{gateway.base_url}/readyz", timeout=60)
        assert (ready.status_code, "target database: its disk is full" in ready.text) == (503, True)
        assert httpx.get(f"{gateway.base_url}/healthz", timeout=60).status_code == 200
        filler.unlink()
        crowd.heard(lambda heard: heard.status == 201)
        wait_for(lambda: httpx.get(f"{gateway.base_url}/readyz", timeout=60).status_code == 200)
        crowd.more(10)
    gateway.manage("replay", "--quarantine", *kept(gateway), "--wait")
    account = settle(ledger, gateway, *TABLES)
    assert account.unanswered == () and account.ends[End.REFUSED] >= 5
    assert gateway.sql("SELECT count(*) AS n FROM notes WHERE mark = 'accepted'") == [{"n": 1}]


def kept(gateway: Gateway) -> list[str]:
    """What waits because the disk was full; and two that fit nowhere still. (Each of these is worth a look at the whole catalog.)"""
    found = gateway.control("SELECT id::text, idempotency_key AS key FROM healing_quarantineitem WHERE state = 'waiting' ORDER BY number")
    misfits = [each["id"] for each in found if each["key"].startswith("misfit")]
    return [*(each["id"] for each in found if each["id"] not in misfits), *misfits[:2]]


def fill(disk: Path, filler: Path) -> None:
    """Takes what is left, to the last block."""
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            while os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize >= size:
                try:
                    file.write(b"\0" * size)
                except OSError:
                    break


def send_large(ledger: Ledger, client: httpx.Client, mark: str, **headers: str) -> Heard:
    """A write that needs room."""
    body = {"mark": mark, "body": os.urandom(100_000).hex()}
    return send(ledger, client, mark, "/rest/v1/notes", body, {"notes": 1}, **headers)
