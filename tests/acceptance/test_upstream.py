"""What is not served here goes to the configured Supabase: as it is, both ways, bounded, and never with a key of ours."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator

import aiohttp
import httpx
import pytest
import websockets
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.acceptance import deno_cases
from tests.acceptance.far_supabase import ANON, SERVICE, FarSupabase, far_supabase
from tests.gateway_process import Gateway
from tests.waiting import HANGS

FILE = "upstream_test.ts"
REVOKE = """
from healing import keys_admin, models
keys_admin.revoke_key(models.ApiKey.objects.get(name="revoked while it is in a room"), "rita")
"""
CASES = deno_cases.cases([FILE])


@pytest.fixture(scope="module")
def far() -> Iterator[FarSupabase]:
    with far_supabase() as far:
        yield far


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway], far: FarSupabase) -> Iterator[Gateway]:
    """In front of it, with its keys."""
    gateway = make_gateway(UPSTREAM_SUPABASE_URL=far.url, UPSTREAM_ANON_KEY=ANON, UPSTREAM_SERVICE_KEY=SERVICE)
    gateway.sql("CREATE TABLE notes (text text); INSERT INTO notes VALUES ('ours'); GRANT ALL ON notes TO service_role")
    gateway.manage("capture_schema")
    gateway.start()
    yield gateway
    gateway.stop()


@pytest.fixture(scope="module")
def results(gateway: Gateway, tmp_path_factory: pytest.TempPathFactory) -> deno_cases.Results:
    environment = {"SUPABASE_URL": gateway.base_url, "SERVICE_KEY": gateway.make_key(), "ANON_KEY": gateway.make_key("anon")}
    return deno_cases.run([FILE], environment, tmp_path_factory.mktemp("deno"))


@deno_cases.needs_deno
@pytest.mark.parametrize(("file", "case"), CASES)
def test_supabase_js(results: deno_cases.Results, file: str, case: str) -> None:
    deno_cases.check(results, file, case)


def test_no_key_of_ours_ever_reached_the_upstream(gateway: Gateway, far: FarSupabase) -> None:
    """Whatever was sent so far, also where a key stands in odd places."""
    key = gateway.make_key("anon")
    with gateway.client("anon") as client:
        client.post(f"/functions/v1/echo?apikey={key}&x={key}", json=1, headers={"x-odd": f"a {key} b", "cookie": f"k={key}"})
    assert all("mg_" not in path + json.dumps(headers) for _, path, headers, _ in far.seen)
    assert all("mg_" not in text for text in far.heard)
    _, path, headers, _ = far.seen[-1]
    assert path == f"/functions/v1/echo?apikey={ANON}&x={ANON}"
    assert (headers["apikey"], headers["authorization"], headers["x-odd"]) == (ANON, f"Bearer {ANON}", f"a {ANON} b")


def test_a_key_in_the_path_is_exchanged_and_one_in_escapes_is_refused(gateway: Gateway, far: FarSupabase) -> None:
    key = gateway.make_key("anon")
    assert httpx.get(f"{gateway.base_url}/storage/v1/of/{key}").json() == {"far": f"/storage/v1/of/{ANON}", "query": ""}
    before = len(far.seen)
    for written in (key.replace("_", "%5F"), key.replace("mg", "%256d%2567")):
        with socket.create_connection(("127.0.0.1", gateway.port), 10) as raw:
            raw.sendall(f"GET /storage/v1/x?apikey={written} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
            assert b" 400 " in raw.makefile("rb").readline()
    assert len(far.seen) == before


def test_a_body_with_a_key_of_ours_is_refused_and_nothing_of_the_key_is_sent(gateway: Gateway, far: FarSupabase) -> None:
    """Also where it comes in two parts; what only looks like one is stored as it is."""
    key, mistyped = gateway.make_key("anon"), "mg_12345678_" + "a" * 42
    url, head = f"{gateway.base_url}/storage/v1/object/pasted", {"apikey": gateway.make_key("anon")}
    for content in (f"a {key} b".encode(), iter([f"a {key[:20]}".encode(), f"{key[20:]} b".encode()])):
        answer = httpx.post(url, content=content, headers=head, timeout=HANGS)
        assert (answer.status_code, answer.json()["code"]) == (400, "MG400")
        assert key[:11] in answer.json()["message"] and key not in answer.text
    assert "pasted" not in far.objects and all(key[:11].encode() not in body for *_, body in far.seen)
    assert httpx.post(url, content=f"{mistyped} mg_".encode(), headers=head, timeout=HANGS).status_code == 200
    assert far.objects["pasted"] == f"{mistyped} mg_".encode()


def test_the_upstreams_key_never_comes_back_in_a_header(gateway: Gateway) -> None:
    """A redirect that repeats the URL names what the caller sent, not what took its place."""
    key = gateway.make_key("service_role")
    answer = httpx.get(f"{gateway.base_url}/storage/v1/again?apikey={key}")
    assert answer.headers["location"] == f"/storage/v1/again/?apikey={key}"
    assert SERVICE not in str(answer.headers)


@pytest.mark.parametrize("method", ["CONNECT", "TRACE"])
def test_methods_that_are_not_for_an_origin_are_refused(gateway: Gateway, far: FarSupabase, method: str) -> None:
    before = len(far.seen)
    with socket.create_connection(("127.0.0.1", gateway.port), 10) as raw:
        raw.sendall(f"{method} /auth/v1/x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
        assert b" 405 " in raw.makefile("rb").readline()
    assert len(far.seen) == before


def test_a_body_whose_length_is_named_as_a_header_of_the_connection_is_not_lost(gateway: Gateway, far: FarSupabase) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), 10) as raw:
        raw.sendall(
            b"POST /storage/v1/object/kept HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\nconnection: content-length, close\r\n\r\nabc"
        )
        assert b" 200 " in raw.makefile("rb").readline()
    assert far.objects["kept"] == b"abc"


def test_a_key_stands_for_its_own_role_only(gateway: Gateway, far: FarSupabase) -> None:
    for role, expected in (("service_role", SERVICE), ("anon", ANON), ("authenticated", ANON)):
        with gateway.client(role) as client:
            client.get("/auth/v1/settings")
        assert far.seen[-1][2]["apikey"] == expected


def test_credentials_of_the_upstream_go_through_as_they_are(gateway: Gateway, far: FarSupabase) -> None:
    given = {"apikey": "sb_publishable_x", "authorization": "Bearer a.b.c"}
    httpx.get(f"{gateway.base_url}/auth/v1/settings", headers=given)
    assert {name: far.seen[-1][2][name] for name in given} == given
    httpx.get(f"{gateway.base_url}/storage/v1/object/public/x")
    assert "apikey" not in far.seen[-1][2]


def test_a_wrong_key_of_ours_is_refused_here(gateway: Gateway, far: FarSupabase) -> None:
    before, good = len(far.seen), gateway.make_key("anon")
    scoped = gateway.manage("create_api_key", "--role", "service_role", "--name", "b", "--scope", "breakers").strip()
    other = good[:-1] + ("a" if good[-1] != "a" else "b")
    for key, status in ((other, 401), (scoped, 403)):
        answer = httpx.get(f"{gateway.base_url}/auth/v1/settings", headers={"apikey": key})
        assert (answer.status_code, set(answer.json())) == (status, {"code", "message", "details", "hint"})
    assert len(far.seen) == before


def test_a_key_s_own_limits_hold_there_too(gateway: Gateway, far: FarSupabase) -> None:
    key = gateway.manage("create_api_key", "--role", "anon", "--name", "limited", "--requests-per-minute", "2").strip()
    statuses = [httpx.get(f"{gateway.base_url}/auth/v1/settings", headers={"apikey": key}).status_code for _ in range(4)]
    assert (statuses[:2], statuses[-1]) == ([200, 200], 429)


def test_headers_of_one_connection_stay_behind(gateway: Gateway, far: FarSupabase) -> None:
    sent = {
        "Connection": "x-hop, keep-alive", "X-Hop": "1", "TE": "trailers", "Proxy-Authorization": "x", "X-Forwarded-Host": "evil.example",
        "X-Forwarded-For": "192.0.2.1", "X-Stays": "yes",
    }  # fmt: skip
    answer = httpx.get(f"{gateway.base_url}/auth/v1/settings", headers=sent)
    headers = far.seen[-1][2]
    assert headers["host"] == far.url.removeprefix("http://")
    assert headers["x-forwarded-for"] == "192.0.2.1, 127.0.0.1"
    assert headers["x-stays"] == "yes"
    assert not {"x-hop", "te", "proxy-authorization", "x-forwarded-host"} & headers.keys()
    assert (answer.headers["x-far"], answer.headers.get("x-private")) == ("2", None)


def test_what_the_upstream_says_comes_as_it_is(gateway: Gateway) -> None:
    with gateway.client("anon", **{"accept-encoding": "gzip"}) as client:
        packed = client.get("/functions/v1/gzip")
        assert (packed.headers["content-encoding"], packed.json()) == ("gzip", {"packed": "x" * 5000})
        sent_on = client.get("/auth/v1/authorize?provider=x")
        assert (sent_on.status_code, sent_on.headers["location"], sent_on.headers["set-cookie"]) == (
            302, "https://provider.example/login", "a=1; HttpOnly",
        )  # fmt: skip
        here = client.post("/storage/v1/upload/resumable")
        assert here.headers["location"] == "/storage/v1/upload/resumable/7"
        head = client.head("/auth/v1/settings")
        assert (head.status_code, head.content) == (200, b"")


def test_bodies_stream_both_ways(gateway: Gateway) -> None:
    """The second part is sent only after the answer to the first has come."""

    async def run() -> bytes:
        heard = asyncio.Event()

        async def body() -> AsyncIterator[bytes]:
            yield b"one"
            await heard.wait()
            yield b"two"

        got = b""
        url = f"{gateway.base_url}/functions/v1/upward"
        async with aiohttp.ClientSession() as client, client.post(url, data=body()) as answer:  # httpx sends first, then reads
            async for part in answer.content.iter_any():
                got += part
                heard.set()
        return got

    assert asyncio.run(asyncio.wait_for(run(), 30)) == b"got onegot two"


def test_a_large_upload_goes_through_with_its_length(gateway: Gateway, far: FarSupabase) -> None:
    body = bytes(range(256)) * 40_000  # 10 MB
    assert httpx.post(f"{gateway.base_url}/storage/v1/object/big", content=body).status_code == 200
    assert far.objects["big"] == body
    assert far.seen[-1][2]["content-length"] == str(len(body))


def test_an_answer_that_is_cut_does_not_end_as_if_it_were_whole(gateway: Gateway) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{gateway.base_url}/functions/v1/cut")
    for _ in range(100):  # the server logs it when the connection is gone
        if "An upstream broke off" in gateway.log.read_text("utf-8"):
            break
        time.sleep(0.05)
    assert "CutOff" not in gateway.log.read_text("utf-8"), "one line, no traceback"
    assert "An upstream broke off in the middle of an answer" in gateway.log.read_text("utf-8")


def test_a_caller_who_leaves_ends_the_upstreams_work(gateway: Gateway, far: FarSupabase) -> None:
    far.left.clear()
    with httpx.stream("GET", f"{gateway.base_url}/functions/v1/drip") as answer:
        next(answer.iter_raw())
    assert far.left.wait(20)


@pytest.mark.parametrize(
    "path", ["/auth/v1/../../admin", "/auth/v1/%2e%2e/x", "/auth/v1/%252e%252e/x", "/auth/v1/a%5c..%5cb", "/auth/v1/./x", "/auth/v1/..;/x"]
)
def test_a_path_that_leads_elsewhere_is_refused(gateway: Gateway, far: FarSupabase, path: str) -> None:
    before = len(far.seen)
    with socket.create_connection(("127.0.0.1", gateway.port), 10) as raw:
        raw.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
        head = raw.makefile("rb").readline()
    assert b" 404 " in head
    assert len(far.seen) == before


def test_a_browser_may_call_as_everywhere(gateway: Gateway) -> None:
    asks = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-mine"}
    preflight = httpx.options(f"{gateway.base_url}/functions/v1/echo", headers=asks)
    assert (preflight.status_code, preflight.headers["access-control-allow-headers"]) == (204, "x-mine")
    answer = httpx.post(f"{gateway.base_url}/functions/v1/echo", json=1, headers={"Origin": "https://app.example"})
    assert answer.headers.get_list("access-control-allow-origin") == ["*"]


def test_only_reads_that_are_not_served_here_are_the_upstreams(gateway: Gateway, far: FarSupabase) -> None:
    with gateway.client() as client:
        forwarded = client.get("/rest/v1/notes?select=text", headers={"accept": "application/geo+json"})
        assert forwarded.json() == {"far": "/rest/v1/notes", "query": "select=text"}
        before = len(far.seen)
        assert client.get("/rest/v1/nothing").status_code == 404
        assert client.post("/rest/v1/notes", json={"text": "x"}, headers={"accept": "application/geo+json"}).status_code == 406
        assert len(far.seen) == before


def test_websockets(gateway: Gateway, far: FarSupabase) -> None:
    key = gateway.make_key("anon")
    url = f"ws://127.0.0.1:{gateway.port}/realtime/v1/websocket?vsn=1.0.0&apikey="

    async def run() -> tuple[str | None, bytes, int | None]:
        async with connect(url + key, subprotocols=[websockets.Subprotocol("phoenix")]) as line:
            protocol = line.subprotocol
            await line.send(b"\x00\x01raw")
            raw = await line.recv()
            await line.send(f"my key is {key}")
            assert await line.recv() == f"my key is {key}"  # what the upstream was sent, said again
            await line.send("bye")
            with pytest.raises(ConnectionClosed) as closed:
                await line.recv()
            assert isinstance(raw, bytes)
            return protocol, raw, closed.value.rcvd.code if closed.value.rcvd else None

    assert asyncio.run(asyncio.wait_for(run(), 30)) == ("phoenix", b"\x00\x01raw", 4001)
    assert far.seen[-1][1] == f"/realtime/v1/websocket?vsn=1.0.0&apikey={ANON}"
    assert f"my key is {ANON}" in far.heard


def test_a_websocket_with_a_wrong_key_is_refused(gateway: Gateway) -> None:
    async def run(key: str) -> int:
        try:
            async with connect(f"ws://127.0.0.1:{gateway.port}/realtime/v1/websocket?apikey={key}"):
                return 101
        except InvalidStatus as refused:
            return refused.response.status_code

    async def named_in_a_protocol() -> int:
        try:
            protocol = websockets.Subprotocol(gateway.make_key("service_role"))
            async with connect(f"ws://127.0.0.1:{gateway.port}/realtime/v1/websocket?apikey={ANON}", subprotocols=[protocol]):
                return 101
        except InvalidStatus as refused:
            return refused.response.status_code

    assert asyncio.run(named_in_a_protocol()) == 403
    mistyped = gateway.make_key("anon")[:-2] + "zz"
    assert asyncio.run(run(mistyped)) == 403
    assert asyncio.run(run("wrong-over-there")) == 403


def test_a_revoked_key_ends_its_socket(gateway: Gateway, far: FarSupabase) -> None:
    key = gateway.make_key("anon", name="revoked while it is in a room")

    async def run() -> int | None:
        async with connect(f"ws://127.0.0.1:{gateway.port}/realtime/v1/websocket?apikey={key}") as line:
            await line.send("before")
            assert await line.recv() == "before"
            await asyncio.to_thread(gateway.manage, "shell", "-c", REVOKE)
            try:
                while True:  # until the process hears of it
                    await line.send("heartbeat")
                    await line.recv()
                    await asyncio.sleep(0.1)
            except ConnectionClosed as closed:
                return closed.rcvd.code if closed.rcvd else None

    assert asyncio.run(asyncio.wait_for(run(), HANGS)) == 1008


def test_stopping_ends_sockets_in_order(make_gateway: Callable[..., Gateway], far: FarSupabase) -> None:
    gateway = make_gateway(UPSTREAM_SUPABASE_URL=far.url).start()

    async def run() -> int | None:
        async with connect(f"ws://127.0.0.1:{gateway.port}/realtime/v1/websocket?apikey={ANON}") as line:
            await line.send("hello")
            assert await line.recv() == "hello"
            assert gateway.process is not None
            os.kill(gateway.process.pid, signal.SIGTERM)
            with pytest.raises(ConnectionClosed) as closed:
                await line.recv()
            return closed.value.rcvd.code if closed.value.rcvd else None

    assert asyncio.run(asyncio.wait_for(run(), HANGS)) == 1001
    gateway.stop()
    # without the upstream's keys, a key of ours is answered with what to do
    gateway.start()
    answer = httpx.get(f"{gateway.base_url}/auth/v1/user", headers={"apikey": gateway.make_key("anon")})
    assert (answer.status_code, answer.json()["code"]) == (501, "MG501")
    assert "UPSTREAM_ANON_KEY" in answer.json()["hint"]
    gateway.stop()


def test_an_upstream_that_is_away_costs_its_own_callers_only(make_gateway: Callable[..., Gateway]) -> None:
    gateway = make_gateway(UPSTREAM_SUPABASE_URL="http://127.0.0.1:9", UPSTREAM_ANON_KEY=ANON).start()
    with gateway.client("anon") as client:
        codes = [client.get("/auth/v1/user").status_code for _ in range(12)]
        assert (codes[0], codes[-1]) == (502, 503)
        refused = client.get("/auth/v1/user")
        assert refused.json()["code"] == "MG503" and int(refused.headers["retry-after"]) >= 1
        assert client.get("/storage/v1/bucket").status_code == 502  # a breaker of its own
        assert client.get("/healthz").status_code == 200
    gateway.stop()


def test_without_an_upstream_it_says_so(shared_gateway: Gateway) -> None:
    answer = httpx.post(f"{shared_gateway.base_url}/auth/v1/token", headers={"Origin": "https://app.example"})
    assert (answer.status_code, answer.json()["code"], answer.headers["access-control-allow-origin"]) == (404, "MG404", "*")
    assert "UPSTREAM_SUPABASE_URL" in answer.json()["hint"]
    asks = {"upgrade": "websocket", "connection": "upgrade", "sec-websocket-version": "13", "sec-websocket-key": "A" * 22 + "=="}
    assert httpx.get(f"{shared_gateway.base_url}/realtime/v1/websocket", headers=asks).status_code == 404
