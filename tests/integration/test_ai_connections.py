"""Connections to providers: what a server may do on the wire, and what becomes of the connection then."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from breakers.core.ai.verdict import Kind, Verdict
from breakers.gateway.ai import connection
from breakers.gateway.ai.settings import AiSettings
from breakers.gateway.ai.snapshot import Credential, Limits, Provider, Secret
from breakers.gateway.ai.upstream import Begun, Body, Outgoing, Upstream
from tests.integration.ai_rows import in_loop

ANSWER = b'{"choices":[{"message":{"content":"hi"}}]}'
SIZED = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(ANSWER), ANSWER)
LIMITS = Limits(connect=20.0, first_token=20.0, stall=20.0, total=30.0)


class Server:
    """Answers each question with the same bytes. ``heard``: the questions; ``connections``: how many came; ``ended``: how many left."""

    def __init__(self, said: bytes, closes: bool = False) -> None:
        self.said, self.closes = said, closes
        self.heard: list[bytes] = []
        self.connections = self.ended = 0
        self.port = self.socket = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.socket = writer.get_extra_info("socket").fileno()
        with closing(writer):
            try:
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                    self.heard.append(head + await reader.readexactly(length))
                    writer.write(self.said)
                    if self.closes:
                        return
            except (asyncio.IncompleteReadError, ConnectionError):
                self.ended += 1


@asynccontextmanager
async def asking(server: Server, **settings: object) -> AsyncIterator[Upstream]:
    async with await asyncio.start_server(server, "127.0.0.1") as listening:
        server.port = listening.sockets[0].getsockname()[1]
        upstream = Upstream(AiSettings(**settings))  # type: ignore[arg-type]
        try:
            yield upstream
        finally:
            await upstream.close()


def question(server: Server, *, streamed: bool = False, body: bytes = b"{}", **more: object) -> Outgoing:
    base = f"http://127.0.0.1:{server.port}/v1"
    given = {"limits": LIMITS, "allow_private": True, **more}
    provider = Provider(name="p", base_url=base, **given)  # type: ignore[arg-type]
    key = Credential(id="k", secret=Secret("sk-1"))
    return Outgoing(provider=provider, credential=key, endpoint="chat/completions", body=body, streamed=streamed)


async def asked(said: bytes, *, closes: bool = False, times: int = 2, body: bytes = b"{}") -> tuple[Server, list[Body | Begun | Verdict]]:
    server = Server(said, closes)
    async with asking(server) as upstream:
        found = []
        for _ in range(times):
            found.append(await upstream.ask(question(server, body=body), 20.0))
            await asyncio.sleep(0.01)
    return server, found


@in_loop
async def test_a_question_is_one_post_with_the_key_and_the_connection_is_used_again():
    server, found = await asked(SIZED)
    assert all(isinstance(each, Body) and each.raw == ANSWER for each in found) and server.connections == 1
    head, _, body = server.heard[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:") and body == b"{}"
    assert b"\r\nAuthorization: Bearer sk-1\r\n" in head and b"\r\nAccept-Encoding: identity\r\n" in head


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n" + ANSWER[:4] + b"\r\n%x\r\n" % (len(ANSWER) - 4)
KINDS = {
    "in chunks": (CHUNKED + ANSWER[4:] + b"\r\n0\r\n\r\n", 1),
    "after early hints": (b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 3\r\n\r\n" + SIZED, 1),
    "which wants to close": (SIZED.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1), 2),
    "with more behind it": (SIZED + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 2),
}


@pytest.mark.parametrize("kind", KINDS)
@in_loop
async def test_an_answer_is_read_whole(kind: str):
    said, connections = KINDS[kind]
    server, found = await asked(said)
    assert all(isinstance(each, Body) and each.raw == ANSWER for each in found), found
    assert server.connections == connections


@in_loop
async def test_an_answer_without_a_length_ends_with_its_connection():
    server, found = await asked(b"HTTP/1.1 200 OK\r\n\r\n" + ANSWER, closes=True)
    assert all(isinstance(each, Body) and each.raw == ANSWER for each in found) and server.connections == 2


BROKEN = {
    "is cut": SIZED[:-3],
    "is no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
    "is cut in a chunk": CHUNKED,
    "has endless headers": b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"a" * 4000) for n in range(20)) + b"\r\n",
    "switches protocols": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "is packed though nobody asked": SIZED.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n", 1),
}


@pytest.mark.parametrize("what", BROKEN)
@in_loop
async def test_an_answer_that_breaks_is_a_failure_at_once(what: str):
    server, found = await asked(BROKEN[what], closes=True)
    assert [each.kind for each in found if isinstance(each, Verdict)] == [Kind.FAILURE] * 2, found
    assert server.connections == 2


@in_loop
async def test_who_speaks_without_being_asked_is_left():
    server = Server(SIZED)
    async with asking(server) as upstream:
        await upstream.ask(question(server), 20.0)
        (kept,) = upstream._connections._all
        kept.get_buffer(0)[:5] = b"HTTP/"
        kept.buffer_updated(5)
        assert isinstance(await upstream.ask(question(server), 20.0), Body)
    assert server.connections == 2


@in_loop
async def test_an_answer_that_nobody_asked_for_reaches_nobody():
    """It came after the loop last looked: it lies unread while the next caller asks."""
    server = Server(SIZED)
    async with asking(server) as upstream:
        await upstream.ask(question(server), 20.0)
        await asyncio.sleep(0)
        os.write(server.socket, SIZED.replace(b'"hi"', b'"ho"'))
        found = await upstream.ask(question(server), 20.0)
    assert isinstance(found, Body) and found.raw == ANSWER and server.connections == 2


DRY = {
    "a header": b"HTTP/1.1 200 OK\r\nX: ",
    "a trailer": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ",
    "a chunk's extension": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=",
    "interim answers": b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000,
}


@pytest.mark.parametrize("what", DRY)
@in_loop
async def test_what_brings_nothing_of_an_answer_is_not_read_for_ever(what: str):
    """The server keeps the connection open: only how much came can tell."""
    _, found = await asked(DRY[what] + b"a" * 150_000 * (what != "interim answers"), times=1)
    assert isinstance(found[0], Verdict) and found[0].kind is Kind.FAILURE


@in_loop
async def test_a_server_that_answers_without_reading_the_question_holds_no_connection():
    ended = asyncio.Event()

    async def deaf(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer):
            await reader.readexactly(10)
            writer.write(SIZED)
            await ended.wait()

    server = Server(SIZED)
    async with await asyncio.start_server(deaf, "127.0.0.1") as listening:
        server.port = listening.sockets[0].getsockname()[1]
        upstream = Upstream(AiSettings())
        found = await upstream.ask(question(server, body=b"x" * 20_000_000), 20.0)
        await asyncio.sleep(0.05)
        assert isinstance(found, Body) and not upstream._connections._all
        ended.set()


@in_loop
async def test_a_stream_that_is_left_ends_its_connection_and_one_that_ended_does_not():
    event = b'data: {"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\n'
    body = b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in (event, b"data: [DONE]\n\n"))
    server = Server(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n")
    async with asking(server) as upstream:
        for _ in range(2):
            begun = await upstream.ask(question(server, streamed=True), 20.0)
            assert isinstance(begun, Begun) and begun.first.startswith(b'data: {"choices"')
            await begun.finish()
        assert server.connections == 1
        server.said = server.said[:-5]  # it never ends
        begun = await upstream.ask(question(server, streamed=True), 20.0)
        assert isinstance(begun, Begun)
        begun.close()
        async with asyncio.timeout(2):
            while not server.ended:
                await asyncio.sleep(0.01)
        assert not upstream._connections._all


@in_loop
async def test_what_nobody_takes_is_not_read():
    piece = b"x" * 100_000
    server = Server(b"HTTP/1.1 400 No\r\nContent-Length: %d\r\n\r\n" % (200 * len(piece)) + piece * 200)
    async with asking(server) as upstream:
        held = await upstream._connections.get(_place(server), 20.0)
        reply = await held.ask(b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
        await asyncio.sleep(0.1)
        assert reply._size <= connection.KEPT + 64 * 1024
        size = 0
        while part := await reply.some():
            size += len(part)
        assert size == 200 * len(piece) and held.usable


def _place(server: Server) -> object:
    from breakers.gateway.ai.question import address_of

    return address_of(f"http://127.0.0.1:{server.port}/v1", "x", True).place


@in_loop
async def test_a_private_address_is_refused_before_anything_is_sent():
    server = Server(SIZED)
    async with asking(server) as upstream:
        found = await upstream.ask(question(server, allow_private=False), 20.0)
    assert isinstance(found, Verdict) and found.reason == "private address" and server.connections == 0


@in_loop
async def test_a_header_that_would_be_two_is_not_sent():
    server = Server(SIZED)
    async with asking(server) as upstream:
        found = await upstream.ask(question(server, headers={"X-A": "1\r\nX-B: 2"}), 20.0)
    assert isinstance(found, Verdict) and found.kind is Kind.FAILURE and not server.heard


@in_loop
async def test_connections_that_nobody_uses_are_closed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("breakers.gateway.ai.connections.KEPT_ALIVE", 0.05)
    server = Server(SIZED)
    async with asking(server) as upstream:
        await upstream.ask(question(server), 20.0)
        async with asyncio.timeout(5):
            while upstream._connections._all:
                await asyncio.sleep(0.02)


@in_loop
async def test_a_name_that_nobody_knows_says_so():
    server = Server(SIZED)
    async with asking(server) as upstream:
        provider = Provider(name="p", base_url="http://nobody.invalid/v1", limits=LIMITS, allow_private=True)
        call = Outgoing(provider=provider, credential=None, endpoint="embeddings", body=b"{}", streamed=False)
        found = await upstream.ask(call, 20.0)
    assert isinstance(found, Verdict) and found.reason in ("its name cannot be resolved", "connect")


def certified(folder: Path) -> tuple[Path, SSLContext]:
    """A certificate for 127.0.0.1 that nobody else has signed, and a server's side of TLS with it."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "far")])
    now = datetime.now(UTC)
    built = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
    here = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    signed = built.add_extension(here, False).add_extension(x509.BasicConstraints(True, None), True).sign(key, hashes.SHA256())
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    cert = folder / "cert.pem"
    cert.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(private)
    context = SSLContext(PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, folder / "key.pem")
    return cert, context


@pytest.mark.parametrize("trusted", [True, False])
def test_tls_is_spoken_with_those_that_are_trusted_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool):
    cert, context = certified(tmp_path)
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))

    async def ask() -> tuple[Server, list[Body | Begun | Verdict]]:
        server = Server(SIZED)
        async with await asyncio.start_server(server, "127.0.0.1", ssl=context) as listening:
            upstream = Upstream(AiSettings())
            base = f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
            provider = Provider(name="p", base_url=base, limits=LIMITS, allow_private=True)
            call = Outgoing(provider=provider, credential=None, endpoint="chat/completions", body=b"{}", streamed=False)
            found = [await upstream.ask(call, 20.0) for _ in range(2)]
            await upstream.close()
        return server, found

    server, found = uvloop.run(ask())
    if trusted:
        assert all(isinstance(each, Body) and each.raw == ANSWER for each in found), found
        assert server.connections == 1
    else:
        assert [each.reason for each in found if isinstance(each, Verdict)] == ["TLS failed"] * 2 and not server.heard
