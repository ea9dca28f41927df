"""Who may ask how much, what was used, and what it cost.

admission = await ledger.admit(caller, model, tokens, snapshot)     # AiError 429 or 403 where it is too much
…                                                                   # answer with admission.headers
await ledger.release(admission, usage)                              # in a finally: also where the call failed (``Usage()``)
ledger.record(call)                                                 # never blocks, never raises
"""

from __future__ import annotations

from msgspec import Struct

from breakers.gateway.ai.caller import AiCaller
from breakers.gateway.ai.journal import Call
from breakers.gateway.ai.settings import AiSettings
from breakers.gateway.ai.snapshot import AiSnapshot, Model
from breakers.gateway.ai.spend import Usage

Headers = tuple[tuple[str, str], ...]


class Admission(Struct, kw_only=True):
    """One call that was let in. ``headers`` go with its answer: ``x-ratelimit-*``, and a warning near the budget's end."""

    id: str
    headers: Headers = ()


class Ledger:
    """One per process."""

    def __init__(self, settings: AiSettings) -> None:
        self._settings = settings

    async def start(self) -> None:
        """Begins to send off what is recorded; needs neither database."""

    async def stop(self) -> None:
        """Sends off what is left."""

    async def admit(self, caller: AiCaller, model: Model, tokens: int, snapshot: AiSnapshot, purpose: str = "edge") -> Admission:
        """Lets a call in that may use ``tokens`` at most (what is sent and ``max_tokens`` together). Raises ``AiError``."""
        return Admission(id="")

    async def release(self, admission: Admission, usage: Usage, model: Model | None = None) -> None:
        """Gives its place back and settles what it really used, of the model that answered (None = as admitted). Once; later calls are
        ignored."""

    def record(self, call: Call, snapshot: AiSnapshot | None = None) -> None:
        """Notes a call's end. ``snapshot`` says whether bodies are stored."""
