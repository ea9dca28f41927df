"""What a transaction is told before its statement, by settings that end with it: the caller's role and claims first.

The values travel as parameters. So all callers share one statement that each connection prepares once, whoever they are: parsing it anew
for everybody took a third of what a caller's own transaction cost.

>>> Prelude(("role",), (b"anon",)).step
Step(sql="SELECT set_config('role',$1,true)", arguments=(b'anon',), binary=False)
>>> Prelude(("role",), (b"anon",)).text
"SELECT set_config('role','anon',true)"
"""

from __future__ import annotations

from functools import lru_cache

from msgspec import Struct

from healing.gateway.target import quote_literal
from healing.gateway.wire_messages import Step


class Prelude(Struct, frozen=True, cache_hash=True):
    """Settings in their order: names, which are ours, and values, which may be anybody's."""

    names: tuple[str, ...]
    values: tuple[bytes, ...]

    def plus(self, names: tuple[str, ...], values: tuple[bytes, ...]) -> Prelude:
        """With more settings behind."""
        return Prelude(self.names + names, self.values + values)

    @property
    def step(self) -> Step:
        """For the wire."""
        return Step(_statement(self.names), self.values)

    @property
    def text(self) -> str:
        """As one SQL statement. Raises ``ValueError`` where a value cannot be part of one."""
        settings = [
            _setting(name, quote_literal(value.decode(errors="surrogatepass"))) for name, value in zip(self.names, self.values, strict=True)
        ]
        return "SELECT " + ",".join(settings)


@lru_cache(maxsize=100)
def _statement(names: tuple[str, ...]) -> str:
    return "SELECT " + ",".join([_setting(name, f"${number}") for number, name in enumerate(names, 1)])


def _setting(name: str, value: str) -> str:
    return f"set_config({quote_literal(name)},{value},true)"
