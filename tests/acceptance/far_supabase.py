"""A Supabase at the far end: real HTTP and a real WebSocket, speaking as auth, storage, functions, realtime and PostgREST do. It keeps
what it was sent, and goes wrong where it is told to."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

from aiohttp import WSMsgType, web

ANON, SERVICE = "far-anon-key", "far-service-key"
USER = {"id": "a0000000-0000-4000-8000-00000000000a", "aud": "authenticated", "role": "authenticated", "email": "ann@example.org"}


class FarSupabase:
    """``seen``: method, path with query, headers and body of each request, newest last; frames under ``heard``."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.heard: list[str] = []
        self.objects: dict[str, bytes] = {}
        self.left = threading.Event()
        self.url = ""

    def app(self) -> web.Application:
        """Its routes."""
        app = web.Application(client_max_size=1 << 30)
        app.router.add_get("/realtime/v1/websocket", self._socket)
        app.router.add_route("*", "/functions/v1/{name}", self._function)
        app.router.add_route("*", "/{rest:.*}", self._plain)
        return app

    async def _plain(self, request: web.Request) -> web.StreamResponse:
        path, body = request.path, await request.read()
        self._note(request, body)
        if path == "/auth/v1/token":
            return web.json_response(
                {"access_token": "far.user.token", "refresh_token": "r", "token_type": "bearer", "expires_in": 3600, "user": USER}
            )
        if path == "/auth/v1/user":
            known = request.headers.get("Authorization") == "Bearer far.user.token"
            return web.json_response(USER if known else {"code": 401, "msg": "invalid claim"}, status=200 if known else 401)
        if path == "/storage/v1/again":
            return web.Response(status=301, headers={"Location": f"{path}/?{request.query_string}"})
        if path == "/auth/v1/authorize":
            return web.Response(status=302, headers={"Location": "https://provider.example/login", "Set-Cookie": "a=1; HttpOnly"})
        if path.startswith("/storage/v1/upload/resumable"):
            return web.Response(status=201, headers={"Location": f"{self.url}{path}/7", "Tus-Resumable": "1.0.0"})
        if path.startswith("/storage/v1/object/"):
            return self._object(request, path.removeprefix("/storage/v1/object/").removeprefix("authenticated/"), body)
        return web.json_response(
            {"far": path, "query": request.query_string}, headers={"Connection": "x-private", "X-Private": "1", "X-Far": "2"}
        )

    def _object(self, request: web.Request, name: str, body: bytes) -> web.Response:
        if request.method == "POST":
            self.objects[name] = body
            return web.json_response({"Key": name, "Id": "1"})
        found = self.objects.get(name)
        if found is None:
            return web.json_response({"statusCode": "404", "error": "not_found", "message": "Object not found"}, status=400)
        return web.Response(body=found, content_type="application/octet-stream")

    async def _function(self, request: web.Request) -> web.StreamResponse:
        match request.match_info["name"]:
            case "echo":
                self._note(request, body := await request.read())
                return web.json_response(
                    {"hello": json.loads(body or b"null")}, headers={"Access-Control-Allow-Origin": "https://only.example"}
                )
            case "drip":
                return await self._drip(request)
            case "cut":
                return await self._cut(request)
            case "gzip":
                response = web.json_response({"packed": "x" * 5000})
                response.enable_compression(web.ContentCoding.gzip)
                return response
            case "upward":
                return await self._upward(request)
            case "broken":
                return web.json_response({"error": "boot"}, status=503, headers={"x-relay-error": "true"})
        raise web.HTTPNotFound

    async def _drip(self, request: web.Request) -> web.StreamResponse:
        """Says something and then waits for the caller to leave."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            for n in range(10_000):
                await response.write(f"data: {n}\n\n".encode())
                await asyncio.sleep(0.02)
        except (ConnectionError, asyncio.CancelledError):
            self.left.set()
            raise
        return response

    async def _cut(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        await response.write(b"half of")
        assert request.transport is not None
        request.transport.abort()
        return response

    async def _upward(self, request: web.Request) -> web.StreamResponse:
        """Answers each part of the body as it comes."""
        response = web.StreamResponse()
        await response.prepare(request)
        async for part in request.content.iter_any():
            await response.write(b"got " + part)
        return response

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        self._note(request, b"")
        if request.query.get("apikey") not in (ANON, SERVICE):
            raise web.HTTPForbidden
        socket = web.WebSocketResponse(protocols=("phoenix",))
        await socket.prepare(request)
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                await socket.send_bytes(_broadcast(message.data))
                continue
            self.heard.append(message.data)
            if message.data == "bye":
                await socket.close(code=4001)
                break
            for reply in _phoenix(message.data):
                await socket.send_str(reply)
        return socket

    def _note(self, request: web.Request, body: bytes) -> None:
        headers = {name.lower(): ", ".join(request.headers.getall(name)) for name in request.headers}
        self.seen.append((request.method, request.path_qs, headers, body))


def _broadcast(pushed: bytes) -> bytes:
    """A binary broadcast as it comes back to who listens; anything else as it was."""
    if pushed[0] != 3:
        return pushed
    join, ref, topic, event, meta, encoding = pushed[1:7]
    rest = pushed[7 + join + ref :]
    return bytes([4, topic, event, meta, encoding]) + rest


def _phoenix(text: str) -> Iterator[str]:
    """As Supabase's realtime answers: joins and heartbeats are well, broadcasts come back."""
    try:
        message: Any = json.loads(text)
    except ValueError:
        yield text
        return
    as_list = isinstance(message, list)
    join, ref, topic, event, payload = message if as_list else [message.get(k) for k in ("join_ref", "ref", "topic", "event", "payload")]

    def said(ref: Any, event: str, payload: Any) -> str:
        parts = [join, ref, topic, event, payload]
        return json.dumps(parts if as_list else dict(zip(("join_ref", "ref", "topic", "event", "payload"), parts, strict=True)))

    yield said(ref, "phx_reply", {"status": "ok", "response": {"postgres_changes": []}})
    if event == "broadcast":
        yield said(None, "broadcast", payload)


@contextmanager
def far_supabase() -> Iterator[FarSupabase]:
    """Serves on loopback until the block ends."""
    far, loop, ready, over = FarSupabase(), asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def serve() -> None:
        runner = web.AppRunner(far.app(), handler_cancellation=True, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert site._server is not None
        far.url = f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"  # type: ignore[attr-defined]
        ready.set()
        await over.wait()
        await runner.cleanup()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    ready.wait(30)
    yield far
    loop.call_soon_threadsafe(over.set)
    thread.join(10)
    loop.close()


async def parts(*given: bytes) -> AsyncIterator[bytes]:
    """A body in parts."""
    for part in given:
        yield part
        await asyncio.sleep(0)
