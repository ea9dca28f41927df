"""The parts of the AI gateway of one process and event loop, put together."""

from __future__ import annotations

from breakers import registry
from breakers.gateway.ai.cache import Cache
from breakers.gateway.ai.gates import Breakers, Gates
from breakers.gateway.ai.ledger import Ledger
from breakers.gateway.ai.load import Source
from breakers.gateway.ai.router import Router
from breakers.gateway.ai.settings import AiSettings
from breakers.gateway.ai.turns import Turns
from breakers.gateway.ai.upstream import Upstream


class Engine:
    """What answers requests, from outside (``AiGateway``) and from healing (``Asker``). ``source``: the rows, where they are not the
    database's."""

    def __init__(self, settings: AiSettings, breakers: Breakers = registry.default, source: Source | None = None) -> None:
        self.settings = settings
        self.gates = Gates(breakers)
        self.source = source or Source(settings)
        self.ledger = Ledger(settings)
        self.cache = Cache(settings)
        self.upstream = Upstream(settings)
        self.turns = Turns()
        self.router = Router(self.upstream, self.gates, self.turns, self.source.retire, self.source.used, settings.tuned)

    async def open(self) -> None:
        """Begins to follow the rows; needs no database to be there."""
        await self.source.start()
        await self.ledger.start()

    async def close(self) -> None:
        """Ends the connections and sends off what was counted."""
        await self.upstream.close()
        await self.ledger.stop()
        await self.cache.close()
        await self.source.stop()
