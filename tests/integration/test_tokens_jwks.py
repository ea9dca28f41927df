"""Tokens signed with a private key; the public half comes from a JWKS address."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from healing.gateway import keytext
from healing.gateway.auth import Authenticator, Key
from healing.gateway.errors import DialectError
from healing.gateway.settings import Settings
from tests.gateway_process import JWT_SECRET, Gateway
from tests.integration.raw_http import Reply
from tests.integration.test_tokens import ANN, SCHEMA, by_hand, encoded, me, the_target_is_not_touched
from tests.waiting import HANGS

EC, RSA = ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)
STRANGER = ec.generate_private_key(ec.SECP256R1())
LATER = ec.generate_private_key(ec.SECP256R1())


class Jwks(BaseHTTPRequestHandler):
    """Serves ``keys`` and counts how often it was asked."""

    keys: ClassVar[list[dict[str, Any]]] = []
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        body = json.dumps({"keys": self.keys}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def gateway(make_gateway: Callable[..., Gateway]) -> Iterator[Gateway]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Jwks)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Jwks.keys = [published(EC, "ec"), published(RSA, "rsa"), {"kty": "oct", "kid": "oct", "k": encoded("x" * 32)}]
    gateway = make_gateway(JWKS_URL=f"http://127.0.0.1:{server.server_port}/jwks.json", JWT_SECRET="")
    gateway.sql(SCHEMA)
    gateway.start()
    yield gateway
    gateway.stop()
    server.shutdown()
    server.server_close()


def published(private: Any, kid: str) -> dict[str, Any]:
    """The public half, as a JWK."""
    algorithm = ECAlgorithm if isinstance(private, ec.EllipticCurvePrivateKey) else RSAAlgorithm
    return {**algorithm.to_jwk(private.public_key(), as_dict=True), "kid": kid, "use": "sig"}


def token(private: Any, kid: str | None, algorithm: str | None = None, headers: dict[str, Any] | None = None, **claims: Any) -> str:
    chosen = algorithm or ("RS256" if isinstance(private, rsa.RSAPrivateKey) else "ES256")
    body = {"sub": ANN, "role": "authenticated", "exp": int(time.time()) + 3600, **claims}
    return jwt.encode(body, private, chosen, headers={**({} if kid is None else {"kid": kid}), **(headers or {})})


def refused(gateway: Gateway, given: str) -> Reply:
    with the_target_is_not_touched(gateway):
        reply = me(gateway, key=given)
        assert (reply.status, reply.body["code"], list(reply.body)) == (401, "PGRST301", ["code", "message", "details", "hint"]), reply
    return reply


def test_es256_and_rs256_by_a_published_key_are_accepted(gateway: Gateway) -> None:
    for given in (token(EC, "ec"), token(RSA, "rsa")):
        reply = me(gateway, key=given)
        assert (reply.status, reply.body) == (200, {"role": "authenticated", "sub": ANN}), reply


def test_hs256_with_the_public_key_as_secret_is_refused(gateway: Gateway) -> None:
    claims = {"sub": ANN, "role": "service_role"}
    for private, kid in ((EC, "ec"), (RSA, "rsa")):
        pem = private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        der = private.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        for secret in (pem, pem.strip(), der, json.dumps(published(private, kid)).encode(), b"x" * 32, b""):
            refused(gateway, by_hand({"alg": "HS256", "kid": kid}, claims, secret))
    refused(gateway, by_hand({"alg": "HS256", "kid": "oct"}, claims, b"x" * 32))


def test_a_stranger_s_key_is_refused_under_every_name(gateway: Gateway) -> None:
    for kid in ("ec", "rsa", "oct", "nobody", None):
        refused(gateway, token(STRANGER, kid, role="service_role"))


def test_an_algorithm_that_does_not_fit_the_key_is_refused(gateway: Gateway) -> None:
    for given in (
        token(EC, "rsa"),
        token(RSA, "ec"),
        token(RSA, "rsa", "PS256"),
        token(RSA, "rsa", "RS512"),
        token(EC, "oct"),
        by_hand({"alg": "none", "kid": "ec"}, {"role": "anon"}, None),
    ):
        refused(gateway, given)


def test_a_key_that_the_token_brings_along_is_not_used(gateway: Gateway) -> None:
    for headers in ({"jwk": published(STRANGER, "ec")}, {"jku": "http://127.0.0.1:9/jwks.json"}, {"x5c": ["x"]}):
        refused(gateway, token(STRANGER, "ec", headers=headers))
    assert set(Jwks.asked) == {"/jwks.json"}


@pytest.mark.parametrize("kid", ["x\r\nSet-Cookie: a=b", 'quo"te', "ü☃", "x" * 5_000, "a\0b", "\ud800"])
def test_what_a_token_says_of_its_key_does_not_reach_the_headers(gateway: Gateway, kid: str) -> None:
    reply = refused(gateway, token(STRANGER, kid))
    assert "set-cookie" not in reply.headers
    assert len(reply.headers["www-authenticate"]) < 1000


def test_a_key_published_later_is_found(gateway: Gateway) -> None:
    assert me(gateway, key=token(LATER, "later")).status == 401
    Jwks.keys.append(published(LATER, "later"))
    deadline = time.monotonic() + HANGS
    while me(gateway, key=token(LATER, "later")).status != 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_tokens_with_made_up_keys_do_not_flood_the_issuer(gateway: Gateway) -> None:
    before = len(Jwks.asked)
    for number in range(40):
        refused(gateway, token(STRANGER, f"made-up-{number}"))
    assert len(Jwks.asked) - before <= 5


def test_the_role_list_and_expiry_hold_here_too(gateway: Gateway) -> None:
    refused(gateway, token(EC, "ec", role="postgres"))
    assert me(gateway, key=token(EC, "ec", exp=1)).body["code"] == "PGRST303"


def with_audience(audience: Any) -> str:
    """The role that a token for ``audience`` has (``...``: it names none) where tokens must be for Mendgate."""
    claims = {"role": "anon", "exp": int(time.time()) + 60, **({} if audience is ... else {"aud": audience})}
    settings = Settings(database_url="", target_database_url="", jwt_secret=JWT_SECRET, jwt_audience="mendgate")
    given = {"authorization": f"Bearer {jwt.encode(claims, JWT_SECRET)}"}
    return asyncio.run(Authenticator(settings, no_key).caller(given)).role


def test_a_token_for_the_audience_that_is_set_is_accepted() -> None:
    assert [with_audience(audience) for audience in ("mendgate", ["other", "mendgate"])] == ["anon", "anon"]


@pytest.mark.parametrize("audience", ["other", ["other"], [], "", None, ...])
def test_where_an_audience_is_set_a_token_for_another_service_is_refused(audience: Any) -> None:
    with pytest.raises(DialectError) as refusal:
        with_audience(audience)
    assert (refusal.value.status, refusal.value.code) == (401, "PGRST301")


def test_an_issuer_that_is_away_is_503() -> None:
    auth = Authenticator(Settings(database_url="", target_database_url="", jwks_url="http://127.0.0.1:9/jwks.json"), no_key)
    with pytest.raises(DialectError) as caught:
        asyncio.run(auth.caller({"apikey": token(EC, "ec")}))
    assert (caught.value.status, dict(caught.value.headers)) == (503, {"Retry-After": "1"})


async def no_key(_digest: str) -> None:
    return None


def test_a_key_that_was_revoked_while_it_was_verified_is_not_remembered() -> None:
    """What is said of keys meanwhile counts from the next request on."""
    text, _, hashed = keytext.make()
    known = {hashed: Key("id", "name", "service_role")}

    async def find_key(digest: str) -> Key | None:
        found = known.pop(digest, None)
        auth.forget()
        return found

    auth = Authenticator(Settings(database_url="", target_database_url=""), find_key)

    async def run() -> None:
        assert (await auth.caller({"apikey": text})).role == "service_role"
        with pytest.raises(DialectError):
            await auth.caller({"apikey": text})

    asyncio.run(run())
