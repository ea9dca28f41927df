"""Whose credentials go on: the caller's own. A key of ours never leaves: the upstream's key for the same role takes its place.

mg_… of service_role  -> UPSTREAM_SERVICE_KEY        mg_… of any other role -> UPSTREAM_ANON_KEY
a JWT, a key of the upstream, nothing               -> as it is; the upstream decides
This holds wherever a key of ours stands: in any header, in the URL, in a frame of a WebSocket. In a body it stands for nothing, and what
is stored or signed must not change on its way: such a request is refused, and no part of the key is sent. Where the upstream says its own
key again (a redirect to the same URL, say), the caller hears the one that it sent.
"""

from __future__ import annotations

import re

from msgspec import Struct

from breakers.gateway.ai.limits import Want
from healing.gateway.auth import Authenticator, Caller
from healing.gateway.errors import DialectError
from healing.gateway.quotas import Quotas

OURS = re.compile(r"mg_[0-9A-Za-z]{8}_[0-9A-Za-z]{42,}", re.ASCII)
_MOST = 3
SERVICE = "service_role"


def holds_key(beginning: str) -> DialectError:
    """A body with a key in it."""
    hint = "Take it out: keys of Mendgate never leave it. If it was not meant to be there, rotate it."
    return DialectError("MG400", 400, f"The body holds an API key of Mendgate ({beginning}…)", None, hint)


class UpstreamKeys(Struct, frozen=True):
    """The upstream's keys, as the operator configured them."""

    anon: str | None = None
    service: str | None = None

    def of(self, caller: Caller) -> str:
        """The one that stands for a caller here. Raises ``DialectError``."""
        if caller.scopes and "data" not in caller.scopes:
            raise DialectError("42501", 403, "This API key may not use the upstream", None, "Give it the scope data, or use another key.")
        name, found = ("UPSTREAM_SERVICE_KEY", self.service) if caller.role == SERVICE else ("UPSTREAM_ANON_KEY", self.anon)
        if found is None:
            hint = f"Set {name} to the key of your Supabase project; or send that key, or a user's token, instead of a key of Mendgate."
            raise DialectError("MG501", 501, f"No key of the upstream is configured for callers of the role {caller.role}", None, hint)
        return found


class Exchange:
    """One request's keys of ours and what takes their place. ``known`` grows as keys are met; each key's own limits hold. ``leave`` at
    the end."""

    def __init__(self, auth: Authenticator, keys: UpstreamKeys, quotas: Quotas) -> None:
        self._auth, self._keys, self._quotas = auth, keys, quotas
        self._held: list[tuple[Caller, Want | None]] = []
        self.known: dict[str, str] = {}

    def leave(self) -> None:
        """Gives back what the limits hold."""
        while self._held:
            self._quotas.leave(*self._held.pop())

    async def still(self) -> None:
        """That the keys which were exchanged still hold. Raises ``DialectError``."""
        for key in self.known:
            await self._auth.caller({"apikey": key})

    def back(self, text: str) -> str:
        """What the upstream says, with the caller's own key where it names the one that took its place."""
        for ours, theirs in self.known.items():
            text = text.replace(theirs, ours)
        return text

    async def __call__(self, text: str) -> str:
        """The text with every key of ours exchanged. Raises ``DialectError`` 401, 403, 429 or 501."""
        if "mg_" not in text:
            return text
        for key in dict.fromkeys(OURS.findall(text)):
            await self._learn(key)
        return OURS.sub(lambda match: self.known[match[0]], text)

    async def _learn(self, key: str) -> None:
        if key in self.known:
            return
        if len(self.known) >= _MOST:
            raise DialectError("MG400", 400, "The request names too many API keys", None, None)
        caller = await self._auth.caller({"apikey": key})
        stands_for = self._keys.of(caller)
        self._held.append((caller, await self._quotas.enter(caller, 0)))
        self.known[key] = stands_for
