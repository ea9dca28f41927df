"""What ``REDIS_URL`` may name: sentinels, through a real fail-over; TLS with a user of few rights; and no cluster."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import django_rq
import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.conf import LazySettings

from breakers import valkey_address
from breakers.core.types import Outcome, State
from breakers.gateway.ai.valkey import Away, Valkey
from breakers.gateway.edge_shared import Shared
from breakers.registry import Registry
from healing.doorbell import ring
from resilience_site.embedded_state import free_port
from resilience_site.embedded_valkey import EXECUTABLE
from resilience_site.valkey_kind import ClusterRefused, require_one
from tests.gateway_process import Gateway
from tests.hosts import eventually
from tests.sentinels import USER, Sentinels


@pytest.fixture
def sentinels(tmp_path: Path) -> Iterator[Sentinels]:
    """Three, with a primary and a replica."""
    with Sentinels(tmp_path / "sentinels", eventually) as those:
        yield those


def test_everything_goes_to_whoever_is_in_charge_through_a_fail_over(sentinels: Sentinels, settings: LazySettings) -> None:
    queue = {**valkey_address.queue_settings(sentinels.url), "SERIALIZER": "rq.serializers.JSONSerializer"}
    settings.RQ_QUEUES = {"default": queue, "ai": queue}
    registry = Registry()
    registry.connect(sentinels.url, namespace="fail-over", source="one")
    breaker = registry.get("payments")
    eventually(lambda: breaker.view().shared, "the breaker is shared")
    asyncio.run(asked(sentinels.url))
    assert ring()
    before = sentinels.in_charge()
    after = sentinels.fail()
    assert after != before
    eventually(ring, "RQ's queue is at the new primary")
    assert sentinels.node(after).llen("rq:queue:default") >= 1
    assert django_rq.get_queue("default").count >= 1
    asyncio.run(asked(sentinels.url))
    for _ in range(10):
        breaker.acquire().settle(Outcome.FAILURE, 0.0, "refused") if breaker.view().state is State.CLOSED else None
    eventually(lambda: sentinels.node(after).hget("{fail-over:payments}:state", "st") == "open", "it is told to the new primary")
    registry.close()


async def asked(url: str) -> None:
    """Limits and edge functions' breakers get their answers, sooner or later."""
    valkey, shared = Valkey(url, "nothing"), Shared(url, "fail-over")
    try:
        for ask in (lambda: valkey.eval("return redis.call('INCR', KEYS[1])", ["n"]), lambda: shared.ask([("PING",)])):
            async with asyncio.timeout(90):
                while not await answered(ask):
                    await asyncio.sleep(0.05)
    finally:
        await valkey.close()
        await shared.close()


async def answered(ask: Callable[[], Any]) -> bool:
    """Whether there was an answer this time."""
    try:
        return bool(await ask())
    except (Away, Exception) as error:
        if type(error).__name__ != "Away":
            raise
        return False


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[str]:
    """A node of a cluster, by a plain URL."""
    port = free_port()
    words = ["--port", str(port), "--bind", "127.0.0.1", "--cluster-enabled", "yes", "--cluster-port", str(free_port()), "--save", ""]
    process = subprocess.Popen([EXECUTABLE, *words], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"redis://127.0.0.1:{port}/0"
    eventually(lambda: answers(url), "the node answers")
    yield url
    process.kill()
    process.wait()


def answers(url: str) -> bool:
    """Whether Valkey does."""
    try:
        with redis.Redis.from_url(url, socket_timeout=5) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def test_a_node_of_a_cluster_is_refused_and_the_refusal_says_what_to_use(cluster: str, valkey_url: str) -> None:
    with pytest.raises(ClusterRefused, match=r"Use one Valkey, or one with replicas under sentinels"):
        require_one(cluster)
    require_one(valkey_url)
    require_one("redis://127.0.0.1:1/0")  # whether it answers is not the question here


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate of 127.0.0.1, in one file."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "valkey")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=1))
    signed = made.add_extension(names, critical=False).sign(key, hashes.SHA256())
    path = tmp_path_factory.mktemp("tls") / "valkey.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
    return path


class Tls:
    """Ends TLS in front of a Valkey that has none."""

    def __init__(self, certificate: Path, port: int) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._onward = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Takes no more connections."""
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
                client = self._context.wrap_socket(client, server_side=True)
                onward = socket.create_connection(("127.0.0.1", self._onward))
            except (ssl.SSLError, ConnectionError):
                continue
            except OSError:
                return
            for source, sink in ((client, onward), (onward, client)):
                threading.Thread(target=_copy, args=(source, sink), daemon=True).start()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    for each in (source, sink):
        each.close()


@pytest.mark.skipif(os.name != "posix", reason="needs Valkey")
def test_tls_and_a_user_of_few_rights_serve_a_whole_gateway(
    make_gateway: Callable[..., Gateway], certificate: Path, tmp_path: Path
) -> None:
    port = free_port()
    acl = ["--user", USER, "on", ">secret", "~*", "&*", "+@all", "-@admin", "-@dangerous", "+info", "+keys"]
    words = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--user", "default", "off", *acl]
    process = subprocess.Popen([EXECUTABLE, *words], cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    tls = Tls(certificate, port)
    url = f"rediss://{USER}:secret@127.0.0.1:{tls.port}/0?ssl_ca_certs={certificate}"
    try:
        eventually(lambda: answers(url), "Valkey answers")
        assert not answers(url.replace("secret", "wrong")) and not answers(url.split("?")[0])
        gateway = make_gateway(REDIS_URL=url).start()
        with gateway.client() as api:
            bad = {"reports": [{"outcome": "failure"}] * 6, "isolate": ""}
            assert api.post("/api/v1/breakers/payments/report", json=bad).status_code == 200
            with redis.Redis.from_url(url, decode_responses=True) as client:
                eventually(
                    lambda: any(client.hget(key, "st") == "open" for key in client.keys("*payments}:state")), "the opening is shared"
                )
        said = gateway.manage("rqworker", "--burst")
        assert "Error" not in said
        gateway.stop()
    finally:
        tls.close()
        process.kill()
        process.wait()
