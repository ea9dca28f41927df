"""deploy/compose.yaml's own commands, environments and health checks, as processes: read-only code, another user, only what is shipped."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
import redis

from resilience_site import processes
from resilience_site.embedded import EmbeddedPostgres, EmbeddedValkey
from resilience_site.embedded_state import CONTROL, GATEWAY, OWNER
from tests.deployed import PATIENCE, USER, Container, Image
from tests.gateway_process import run

SECRET = "a-made-up-secret-key-for-this-test-0123456789"
SERVING = ("web", "worker", "ai-worker", "scheduler", "watcher")


@pytest.fixture(scope="module")
def late(postgres: EmbeddedPostgres) -> Iterator[EmbeddedValkey]:
    """A Valkey that is not started yet."""
    with tempfile.TemporaryDirectory(prefix="mendgate-valkey-") as name:
        server = EmbeddedValkey(Path(name))
        yield server
        server.stop()


@pytest.fixture(scope="module")
def target(make_databases: Callable[[], tuple[str, str]]) -> tuple[str, str]:
    return make_databases()


@pytest.fixture(scope="module")
def image(target: tuple[str, str], postgres: EmbeddedPostgres, late: EmbeddedValkey, static_files: Path) -> Iterator[Image]:
    with tempfile.TemporaryDirectory(prefix="mendgate-image-") as name:
        image = Image(Path(name), static_files)
        image.keep("control_url", postgres.url(target[0], CONTROL))
        image.keep("target_url", postgres.url(target[1], GATEWAY))
        image.keep("valkey_url", late.url)
        image.keep("secret_key", SECRET)
        yield image


def test_a_container_without_its_secrets_says_so_and_does_not_start(image: Image) -> None:
    web = Container(image, "web", SECRET_KEY_FILE="", DATABASE_URL_FILE="/run/secrets/nothing_here").start()
    assert web.finish() == 1
    assert "mendgate.E017 SECRET_KEY not given, and DEPLOYED=on makes nothing up." in web.log.read_text()
    assert "mendgate.E002 DATABASE_URL_FILE cannot be read" in web.log.read_text()
    assert not list(web.home.iterdir()), "a secret was made up"


def test_the_services_of_compose_start_without_valkey_work_with_it_and_end(
    image: Image, late: EmbeddedValkey, target: tuple[str, str], postgres: EmbeddedPostgres
) -> None:
    containers = {name: Container(image, name) for name in ("prepare", *SERVING)}
    try:
        assert containers["prepare"].start().finish() == 0, containers["prepare"].said()
        assert containers["prepare"].log.read_text().endswith("prepared\n")
        for name in SERVING:
            assert containers[name].check().returncode == 1, "healthy before it began"
            containers[name].start()
        for name in SERVING:
            containers[name].wait_healthy()
        _serves(containers["web"], postgres.url(target[1], OWNER))
        _works(containers, late)
        for name in SERVING:
            assert containers[name].stop() == 0, containers[name].said()
    finally:
        for each in containers.values():
            each.end()
    assert not [path for path in (image.at / "app").rglob("*") if path.stat().st_uid == USER], "code was written"


def _serves(web: Container, owner_url: str) -> None:
    run(owner_url, "CREATE TABLE notes (id int PRIMARY KEY, body text)")
    key = web.run("python", "manage.py", "create_api_key", "--role", "service_role", "--name", "deployed")
    with httpx.Client(base_url=f"http://127.0.0.1:{web.port}", headers={"apikey": key}, timeout=PATIENCE) as client:
        landed = lambda: client.post("/rest/v1/notes", json={"id": 1, "body": "x"}).status_code in (201, 409)  # noqa: E731
        assert processes.wait_until(landed, PATIENCE), web.said()
        assert client.get("/static/healing/admin.css").status_code == 200
        assert client.get("/metrics").status_code == 200
    assert run(owner_url, "SELECT body FROM notes") == [{"body": "x"}]


def _works(containers: dict[str, Container], late: EmbeddedValkey) -> None:
    """Who waited for Valkey without ending is at work as soon as it is there."""
    with late, redis.Redis.from_url(late.url) as client:
        assert processes.wait_until(lambda: client.scard("rq:workers") == 2, PATIENCE), containers["worker"].said()
        assert processes.wait_until(lambda: bool(client.keys("rq:cron_scheduler:*")), PATIENCE), containers["scheduler"].said()
