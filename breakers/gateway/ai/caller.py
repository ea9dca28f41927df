"""Who calls the AI gateway, as far as it needs to know."""

from __future__ import annotations

from msgspec import Struct


class AiCaller(Struct, frozen=True):
    """``key`` is the API key's id (None: a bare token); ``subject``: whose token it is; ``scopes`` empty = what the role may."""

    key: str | None
    role: str
    subject: str = ""
    scopes: tuple[str, ...] = ()

    @property
    def may_ask(self) -> bool:
        """Whether ``/v1`` is open to this caller: by the scope ``ai``; without scopes everybody but ``anon``."""
        return "ai" in self.scopes if self.scopes else self.role != "anon"
