"""What each channel says, to real servers; names that hold anything; and the whole way from DDL to the far end."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.conf import LazySettings
from rq import Queue, SimpleWorker
from rq.serializers import JSONSerializer

from healing.gateway import keytext
from schema_monitor.alerts import post
from schema_monitor.alerts.jobs import deliver
from schema_monitor.alerts.models import AlertDelivery, AlertMessage
from schema_monitor.alerts.trial import send_test
from schema_monitor.capture import capture
from tests.integration.alert_rows import ADDED, REMOVED, RENAMED, stored, subscribed
from tests.integration.far_end import FarEnd, Mailbox, listening, mail_server

pytestmark = pytest.mark.usefixtures("postgres")
NASTY = {
    **REMOVED,
    "relation": "t*",
    "sentence": "Column public.<!channel>\r\nBcc: all@example.com *x* @everyone [a](http://b) was removed.",
}


@pytest.fixture
def far() -> Iterator[FarEnd]:
    with listening() as far:
        yield far


@pytest.fixture
def mailbox(settings: Any) -> Iterator[Mailbox]:
    with mail_server() as (box, port):
        settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = "django.core.mail.backends.smtp.EmailBackend", "127.0.0.1", port
        settings.MENDGATE = msgspec.structs.replace(
            settings.MENDGATE, email_url=f"smtp://127.0.0.1:{port}", public_url="https://gate.example"
        )
        yield box


@pytest.mark.django_db
def test_a_mail_says_what_happened_who_is_hit_and_what_to_do(mailbox: Mailbox) -> None:
    subscribed("ann@example.com, bob@example.com", "email")
    version = stored(RENAMED, {**REMOVED, "usr": "ann"})
    assert deliver() == 1
    (mail,) = mailbox.mails
    reference = AlertMessage.objects.get().reference
    assert " ".join(mail["Subject"].split()) == "[Mendgate] 2 schema changes, the worst is critical: Column public.t.c was removed."
    assert (mail["To"], mail["Message-ID"]) == ("ann@example.com, bob@example.com", f"<{reference}@localhost>")
    text = mail.get_payload(decode=True).decode().replace("\r\n", "\n")
    assert "CRITICAL: Column public.t.c was removed.\n    Callers that write it the old way.\n    Made by ann (psql)." in text
    assert "Writes that name it are kept, not lost" in text
    assert f"https://gate.example/admin/schema_monitor/schemachange/{version.changes.last().pk}/change/" in text


@pytest.mark.django_db
def test_names_with_line_breaks_make_no_headers(mailbox: Mailbox) -> None:
    subscribed("ann@example.com", "email")
    stored(NASTY)
    deliver()
    (mail,) = mailbox.mails
    assert mail["Bcc"] is None
    assert "Bcc: all@example.com" in mail["Subject"].replace("\n", "")


@pytest.mark.django_db
def test_a_refused_mail_says_why(mailbox: Mailbox) -> None:
    delivery = send_test(subscribed("ann@refused.example", "email"))
    assert (delivery.outcome, delivery.error) == ("failed", "ann@refused.example: 550 no such mailbox")


@pytest.mark.django_db
def test_without_a_mail_server_nothing_is_called_sent() -> None:
    delivery = send_test(subscribed("ann@example.com", "email"))
    assert (delivery.outcome, delivery.error.partition(":")[0]) == ("failed", "E-mail is not set up")


@pytest.mark.django_db
@pytest.mark.parametrize("channel", ["slack", "discord"])
def test_chats_get_text_that_mentions_nobody_and_stays_within_their_limits(far: FarEnd, channel: str) -> None:
    subscribed(far.url, channel)
    stored(NASTY, *[{**ADDED, "sentence": "x*" * 2000}] * 30)
    deliver()
    body = far.heard[0].json
    assert "webhook-signature" not in far.heard[0].headers
    if channel == "slack":
        assert len(body["blocks"]) <= 50
        assert all(len(block["text"]["text"]) <= 3000 for block in body["blocks"])
        assert "&lt;!channel&gt;" in body["blocks"][1]["text"]["text"]
        assert body["blocks"][-1]["text"]["text"].startswith("and 21 more · <http")
    else:
        (embed,) = body["embeds"]
        sizes = [len(embed["title"]), len(embed["footer"]["text"])] + [len(f["name"]) + len(f["value"]) for f in embed["fields"]]
        assert sum(sizes) <= 6000
        assert all(len(f["value"]) <= 1024 for f in embed["fields"])
        assert body["allowed_mentions"] == {"parse": []}
        assert "\\@everyone \\[a\\]" in embed["fields"][0]["value"]


@pytest.mark.django_db
@pytest.mark.parametrize("channel", ["webhook", "slack", "discord"])
def test_a_key_of_ours_in_a_default_or_a_sentence_does_not_leave(far: FarEnd, channel: str) -> None:
    key, prefix, _ = keytext.make()
    subscribed(far.url, channel)
    held = f"'{key}'::text"
    stored({**ADDED, "sentence": f"The default of public.t.d is {held} now.", "old": {"default": [held]}, "new": held, "app": key})
    assert deliver() == 1
    said = json.dumps(far.heard[0].json)
    assert key not in said and f"mg_{prefix}_" in said.replace("\\\\", "")


@pytest.mark.django_db
def test_a_key_of_ours_does_not_leave_by_mail(mailbox: Mailbox) -> None:
    key, prefix, _ = keytext.make()
    subscribed("ann@example.com", "email")
    stored({**ADDED, "sentence": f"The default of public.t.d is {key} now.", "app": key})
    assert deliver() == 1
    (mail,) = mailbox.mails
    said = f"{mail['Subject']} {mail.get_payload(decode=True).decode()}"
    assert key not in said and f"mg_{prefix}_[removed]" in said


def test_a_name_that_answers_differently_the_second_time_gains_nothing(far: FarEnd, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def changing(host: Any, *how: Any, **more: Any) -> Any:
        if host != "changing.example":
            return really(host, *how, **more)
        asked.append(host)
        return really("127.0.0.1" if len(asked) == 1 else "10.255.255.1", *how, **more)

    really = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", changing)
    url = far.url.replace("127.0.0.1", "changing.example")
    assert post.post(url, b"{}", {}, ("127.0.0.0/8",)).ok
    assert (len(asked), len(far.heard)) == (1, 1)
    sent = post.post(url, b"{}", {}, ("127.0.0.0/8",))
    assert not sent.ok and "no address that alerts may go to" in sent.error
    assert len(far.heard) == 1


@pytest.mark.django_db
def test_over_tls_the_certificate_must_be_of_the_name(far: FarEnd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = _certificate(tmp_path / "own.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    far.server.socket = context.wrap_socket(far.server.socket, server_side=True)
    url = far.url.replace("http:", "https:")
    assert "CERTIFICATE_VERIFY_FAILED" in send_test(subscribed(url.replace("127.0.0.1", "localhost"), name="unknown")).error
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    post._trust.cache_clear()
    try:
        assert send_test(subscribed(url.replace("127.0.0.1", "localhost"), name="by name")).error == ""
        assert "Hostname mismatch" in send_test(subscribed(url, name="by another name")).error.replace(
            "IP address mismatch", "Hostname mismatch"
        )
    finally:
        post._trust.cache_clear()


@pytest.mark.django_db(transaction=True)
def test_ddl_becomes_an_alert_by_capture_and_worker(
    far: FarEnd, settings: LazySettings, target_url: str, owner: psycopg.Connection, valkey_url: str
) -> None:
    settings.MENDGATE = msgspec.structs.replace(settings.MENDGATE, target_database_url=target_url, exposed_schemas=("public",))
    settings.RQ_QUEUES = {"default": {**settings.RQ_QUEUES["default"], "URL": valkey_url}}
    owner.execute("CREATE TABLE projects (id int PRIMARY KEY, name text)")
    capture("start")
    subscribed(far.url, minimum="high")
    owner.execute("ALTER TABLE projects DROP COLUMN name")
    version = capture("command")
    assert version is not None
    with redis.Redis.from_url(valkey_url) as connection:
        queue = Queue("default", connection=connection, serializer=JSONSerializer)
        assert queue.count == 1
        SimpleWorker([queue], connection=connection, serializer=JSONSerializer).work(burst=True)
    data = far.heard[0].json["data"]
    assert (data["epoch"], data["change"]["kind"], data["change"]["relation"]) == (2, "column_removed", "projects")
    assert AlertDelivery.objects.get().outcome == "delivered"


@pytest.mark.django_db(transaction=True)
def test_without_redis_the_capture_stands_and_the_alert_waits(
    far: FarEnd, settings: LazySettings, target_url: str, owner: psycopg.Connection
) -> None:
    settings.MENDGATE = msgspec.structs.replace(settings.MENDGATE, target_database_url=target_url, exposed_schemas=("public",))
    settings.RQ_QUEUES = {"default": {**settings.RQ_QUEUES["default"], "URL": "redis://127.0.0.1:1/0"}}
    capture("start")
    subscribed(far.url)
    owner.execute("CREATE TABLE projects (id int PRIMARY KEY)")
    assert capture("command") is not None
    assert deliver() == 1
    assert len(far.heard) == 1


def _certificate(path: Path) -> Path:
    """A self-signed one for ``localhost``."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.9"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path
