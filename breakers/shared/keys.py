"""Names in Valkey. All keys of a breaker share one hash tag, which holds its whole name: no two breakers share a key."""

from __future__ import annotations

from msgspec import Struct


class Keys(Struct, frozen=True):
    """Of one breaker. ``windows`` is a prefix."""

    state: str
    leases: str
    sources: str
    config: str
    windows: str


class Names(Struct, frozen=True):
    """Of one namespace."""

    namespace: str

    @property
    def channel(self) -> str:
        """Says which breaker changed; only a hint."""
        return f"{self.namespace}:breakers"

    @property
    def log(self) -> str:
        """A stream: every change of every breaker, capped."""
        return f"{self.namespace}:breakers:log"

    def of(self, name: str) -> Keys:
        """A breaker's keys."""
        own = self.namespace.replace("%", "%25").replace(":", "%3A")  # a name may hold colons, so the namespace may not
        tag = f"{{{own}:{name}}}"
        return Keys(f"{tag}:state", f"{tag}:leases", f"{tag}:sources", f"{tag}:config", f"{tag}:w:")


def checked(namespace: str) -> Names:
    """Raises ``ValueError`` for a namespace that would break the hash tags."""
    if not namespace or not namespace.isprintable() or {"{", "}", " "} & set(namespace):
        raise ValueError(f"A namespace is printable, without braces and spaces. This is none: {namespace!r}")
    return Names(namespace)
