"""Who calls the control plane's API: the same credentials as the data API, verified anew on every request."""

from __future__ import annotations

from asgiref.sync import async_to_sync
from django.db.models import Q
from django.http import HttpRequest
from ninja.security.base import AuthBase

from healing.gateway.auth import Authenticator, Caller, Key
from healing.gateway.errors import DialectError
from healing.gateway.settings import current
from healing.models import ApiKey, Role

__all__ = ["Caller", "KeyAuth", "alone", "caller_of", "own", "sees_all", "sees_values"]


class KeyAuth(AuthBase):
    """``apikey: mg_…`` or ``Authorization: Bearer …``; leaves the verified ``Caller`` in ``request.auth``. A key that is limited to some
    scopes must have one of ``scopes``."""

    openapi_type = "apiKey"
    openapi_in = "header"
    openapi_name = "apikey"

    def __init__(self, *scopes: str) -> None:
        super().__init__()
        self._scopes = scopes or ("api",)

    def __call__(self, request: HttpRequest) -> Caller:
        """Verify; ``DialectError`` 401 or 403 says what to do."""
        headers = {name: request.headers.get(name, "") for name in ("apikey", "authorization")}
        caller: Caller = async_to_sync(_authenticator().caller)(headers)
        if caller.scopes and not set(caller.scopes) & set(self._scopes):
            hint = f"Use a key without scopes, or with {' or '.join(self._scopes)}."
            raise DialectError("MG403", 403, "This key is not for the control plane's API", None, hint)
        return caller


def caller_of(request: HttpRequest) -> Caller:
    """The caller that ``KeyAuth`` verified."""
    caller: Caller = request.auth  # type: ignore[attr-defined]
    return caller


def sees_all(caller: Caller) -> bool:
    """``service_role`` reads every item."""
    return caller.role == Role.SERVICE


def sees_values(caller: Caller) -> bool:
    """An anonymous key is public (it ships in web pages): its holder sees shapes, not other visitors' values."""
    return caller.role != Role.ANON or bool(caller.subject)


def alone(caller: Caller) -> str:
    """Whose word it is: the caller's own; '' for ``service_role``, which speaks for everybody."""
    return "" if sees_all(caller) else caller.identity


def own(caller: Caller) -> Q:
    """What a caller may read: all, or what came with the same key and the same subject."""
    if sees_all(caller):
        return Q()
    if caller.key is None and not caller.subject:
        return Q(pk__in=[])
    return Q(key=caller.key, role=caller.role, subject=caller.subject)


_JWKS: dict[int, Authenticator] = {}


def _authenticator() -> Authenticator:
    """One a process (it holds the fetched JWKS); never from its cache of callers, which nobody tells of a revocation here."""
    if 0 not in _JWKS:
        _JWKS[0] = Authenticator(current(), _find_key)
    _JWKS[0].forget()
    return _JWKS[0]


async def _find_key(digest: str) -> Key | None:
    row = await ApiKey.objects.filter(hash=digest, revoked_at=None).afirst()
    if row is None:
        return None
    return Key(str(row.pk), row.name, row.role, tuple(row.scopes), row.expires_at.timestamp() if row.expires_at else None)
