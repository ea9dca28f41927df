"""Who is calling: an API key or a JWT (or both) becomes a ``Caller``; anything else is a 401 that says what to do.

    apikey: mg_…                      -> the key's role
    apikey: mg_…, Bearer <JWT>        -> the JWT's role and claims, on behalf of the key's holder
    Bearer <JWT> (or apikey: <JWT>)   -> the JWT's role and claims
A Bearer that equals the apikey is not a JWT (supabase-js sends its key in both). A bad token costs no database connection.
Verified callers are cached by the exact header pair; expiry is checked on every use.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from math import inf
from typing import Any

import jwt
import msgspec
from msgspec import Struct

from healing.gateway import keytext
from healing.gateway.errors import DialectError, unavailable
from healing.gateway.prelude import Prelude
from healing.gateway.settings import Settings

_ALGORITHMS_SHARED = ["HS256"]
_ALGORITHMS_JWKS = ["ES256", "RS256"]
_LEEWAY = 30
_MAKE_ONE = "Make one with: python manage.py create_api_key --role service_role"
_MISTYPED = "The key is mistyped or cut off: its checksum does not fit. Copy it again."
_NOT_OURS = f"Keys of Mendgate begin with mg_. {_MAKE_ONE}"
_WHO_SIGNS = "A token must be signed by what JWT_SECRET or JWKS_URL names. Or send a key of Mendgate (mg_...)."
_MOST_CACHED = 25_000
"""of the callers seen last, and as many before them."""


class Quota(Struct, frozen=True):
    """What a key may take; 0 = no limit."""

    requests_per_minute: int = 0
    at_once: int = 0
    most_bytes: int = 0
    """of a body."""


class Key(Struct, frozen=True):
    """An API key as the gateway knows it (never the key itself)."""

    id: str
    name: str
    role: str
    scopes: tuple[str, ...] = ()
    expires_at: float | None = None
    """Unix seconds."""
    quota: Quota | None = None
    """None: nothing limits it."""


class Caller(Struct, frozen=True):
    """Who is calling, with what rights. ``identity`` keeps idempotency keys of different callers apart."""

    key: str | None
    role: str
    claims: dict[str, Any]
    subject: str
    expires_at: float | None
    """Unix seconds: of the token or the key, whichever comes first."""
    token_expires_at: float | None
    prelude: Prelude
    """Role and claims, to be said after BEGIN."""
    scopes: tuple[str, ...] = ()
    """Empty = everything."""
    quota: Quota | None = None
    turn: str = ""
    """Who it is where callers take turns: the key, else whose claims, else the role."""

    @property
    def identity(self) -> str:
        return f"{self.key or ''}:{self.role}:{self.subject}"


def make_caller(key: Key | None, role: str, claims: dict[str, Any], token_expires_at: float | None = None) -> Caller:
    """A caller from verified parts. Raises ``DialectError`` 401 for claims that no database could be told."""
    try:
        text = msgspec.json.encode(claims)
    except UnicodeEncodeError:
        raise unauthorized("PGRST301", "The token's claims hold half a character (a lone surrogate)") from None
    prelude = _prelude(role, text)
    expiries = [e for e in (token_expires_at, key.expires_at if key else None) if e is not None]
    if b"\\u0000" in text:
        raise unauthorized("PGRST301", "The token's claims hold a NUL character")
    subject = _subject(claims)
    return Caller(
        key.id if key else None,
        role,
        claims,
        subject,
        min(expiries) if expiries else None,
        token_expires_at,
        prelude,
        key.scopes if key else (),
        key.quota if key else None,
        (key.id if key else "") or subject or role,
    )


@lru_cache(maxsize=1000)
def _prelude(role: str, claims: bytes) -> Prelude:
    """One value for all keys of a role."""
    return Prelude(("role", "request.jwt.claims"), (role.encode(errors="surrogatepass"), claims))


_LONGEST_SUBJECT = 500
"""Bytes. What is longer fits into no index, so that nothing could be stored under its name."""
_PASSING = frozenset({"role", "exp", "iat", "nbf", "jti", "iss", "aud", "session_id", "aal", "amr"})


def _subject(claims: dict[str, Any]) -> str:
    """Whose claims these are: ``sub`` (a digest of one that is too long to look up), else a digest of what tells this caller from others;
    '' for a bare role."""
    subject = claims.get("sub")
    if isinstance(subject, str) and subject:
        name = subject.encode()
        return subject if len(name) <= _LONGEST_SUBJECT else "sub:" + hashlib.sha256(name).hexdigest()
    telling = {name: value for name, value in claims.items() if name not in _PASSING}
    if not telling:
        return ""
    return "claims:" + hashlib.sha256(msgspec.json.encode(telling, order="deterministic")).hexdigest()[:32]


def unauthorized(code: str, message: str, hint: str | None = None) -> DialectError:
    """A 401 in the caller's dialect."""
    said = "".join(c for c in message[:200] if c.isascii() and c.isprintable() and c not in '"\\')  # it may quote the token
    challenge = f'Bearer error="invalid_token", error_description="{said}"'
    return DialectError(code, 401, message, None, hint, (("WWW-Authenticate", challenge),))


class Authenticator:
    """Turns credentials into callers. ``find_key`` looks a hash up (memory first, then the control database)."""

    def __init__(self, settings: Settings, find_key: Callable[[str], Awaitable[Key | None]]) -> None:
        self._settings, self._find_key = settings, find_key
        self._cache: dict[tuple[str, str], Caller] = {}
        self._before: dict[tuple[str, str], Caller] = {}
        """what the cache held until it was full last: who comes again moves up, nobody else is verified anew because of them."""
        # no cache of single keys: it never forgets one that the issuer withdrew
        self._jwks = jwt.PyJWKClient(settings.jwks_url, timeout=3, cooldown_duration=5) if settings.jwks_url else None
        self.used: set[str] = set()
        """ids of keys seen since the last flush of ``last_used_at``."""

    def forget(self) -> None:
        """Keys changed: verify everyone anew."""
        self._cache, self._before = {}, {}

    async def caller(self, headers: Mapping[str, str]) -> Caller:
        """The caller of a request (lower-cased header names). Raises ``DialectError`` 401."""
        credentials = headers.get("apikey", ""), headers.get("authorization", "")
        caller = self._cache.get(credentials)
        if caller is None:
            cache = self._cache
            caller = self._before.get(credentials) or await self._verify(*credentials)
            if cache is self._cache:  # else keys changed meanwhile, maybe this one
                self._remember(credentials, caller)
        if caller.expires_at is not None and caller.expires_at + _LEEWAY < time.time():
            self._before.pop(credentials, None)
            self._cache.pop(credentials, None)
            raise unauthorized("PGRST303", "JWT expired" if caller.token_expires_at else "The API key has expired")
        if caller.key is not None:
            self.used.add(caller.key)
        return caller

    def _remember(self, credentials: tuple[str, str], caller: Caller) -> None:
        if len(self._cache) >= _MOST_CACHED:
            self._cache, self._before = {}, self._cache
        self._cache[credentials] = caller

    async def _verify(self, apikey: str, authorization: str) -> Caller:
        bearer = _bearer(authorization)
        if not apikey and not bearer:
            raise unauthorized("PGRST302", "Anonymous access is disabled", "Send your key in the apikey header.")
        token = bearer if bearer != apikey else ""
        if not apikey and not _is_jwt(token):
            apikey, token = token, ""
        key = None if not apikey or _is_jwt(apikey) else await self._key(apikey)
        if _is_jwt(token):
            return await self._from_token(key, token)
        if token and not apikey:
            raise unauthorized("PGRST301", "Invalid credentials")
        if token and token != apikey:
            key = await self._key(token)
        if key is not None:
            return make_caller(key, key.role, {"role": key.role})
        return await self._from_token(None, apikey)

    async def _key(self, text: str) -> Key:
        if not keytext.check(text):
            raise unauthorized("PGRST301", "Invalid API key", _MISTYPED if text.startswith("mg_") else _NOT_OURS)
        key = await self._find_key(keytext.digest(text))
        if key is None:
            raise unauthorized("PGRST301", "Unknown or revoked API key", f"It is another Mendgate's, or was revoked. {_MAKE_ONE}")
        if key.expires_at is not None and key.expires_at < time.time():
            raise unauthorized("PGRST303", "The API key has expired", _MAKE_ONE)
        return key

    async def _from_token(self, key: Key | None, token: str) -> Caller:
        claims = await self._claims(token)
        role = claims.get("role", "anon")
        if role not in self._settings.roles:
            raise unauthorized("PGRST301", "The token's role is not allowed here", f"One of {', '.join(sorted(self._settings.roles))}.")
        expires = claims.get("exp")
        return make_caller(key, role, claims, _seconds(expires) if expires is not None else None)

    async def _claims(self, token: str) -> dict[str, Any]:
        try:
            secret, algorithms = await self._secret(token)
            audience = self._settings.jwt_audience
            return jwt.decode(
                token,
                secret,
                algorithms=algorithms,
                leeway=_LEEWAY,
                audience=audience,
                options={"verify_aud": audience is not None, "verify_iat": False},
            )
        except jwt.ExpiredSignatureError:
            raise unauthorized("PGRST303", "JWT expired") from None
        except jwt.PyJWKClientConnectionError:
            raise unavailable("PGRST001", "The issuer of tokens cannot be reached to check this one.") from None
        except jwt.PyJWTError as error:
            raise unauthorized("PGRST301", f"Invalid JWT: {error}".replace('"', "'"), _WHO_SIGNS) from None

    async def _secret(self, token: str) -> tuple[Any, list[str]]:
        """The key to verify with, chosen by what is configured, never by what the token points to."""
        algorithm = jwt.get_unverified_header(token).get("alg")
        if self._jwks is not None and algorithm in _ALGORITHMS_JWKS:
            signing = await asyncio.to_thread(self._jwks.get_signing_key_from_jwt, token)
            if signing.algorithm_name != algorithm:
                raise jwt.InvalidAlgorithmError("this algorithm does not fit the key")
            return signing.key, [str(algorithm)]
        if self._settings.jwt_secret and algorithm in _ALGORITHMS_SHARED:
            return self._settings.jwt_secret, _ALGORITHMS_SHARED
        raise jwt.InvalidAlgorithmError("this algorithm is not accepted here")


def _seconds(expires: int | str) -> float:
    """The moment of an ``exp`` that was verified: an integer, or the text of one, however large."""
    try:
        return float(int(expires))
    except OverflowError:
        return inf


def _bearer(authorization: str) -> str:
    scheme, _, rest = authorization.partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else ""


def _is_jwt(text: str) -> bool:
    return text.count(".") == 2 and not text.startswith("mg_")
