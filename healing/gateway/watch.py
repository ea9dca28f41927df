"""What became of a request, told to the metrics: about a microsecond, never a wait, never an exception of its own."""

from __future__ import annotations

from typing import Literal

from breakers import registry
from breakers.gateway.ai.call import Call
from healing.gateway.answer import Answer, Deed
from healing.gateway.auth import Caller
from healing.gateway.request import Request
from metrics.core.observation import Asked, Outcome, Read, Replayed, Saved, Wrote
from metrics.recorder import observe

_UNKNOWN = Deed("", "")
_OPERATIONS = {"POST": "insert", "PATCH": "update", "DELETE": "delete", "PUT": "upsert"}
OURS = 500
"""Statuses from here on are a fault of the gateway, of the database or of the way between them."""


def answered(request: Request, caller: Caller, answer: Answer, seconds: float) -> None:
    """A request that has an answer."""
    if not request.is_write:
        table = "" if request.kind == "rpc" or answer.status >= 400 else f"{request.schema}.{request.name}"
        observe(Read(table, _who(caller), answer.status < OURS, seconds))
        return
    deed = answer.deed or _UNKNOWN
    operation = deed.operation or _OPERATIONS.get(request.method, "")
    names = [name for name, _ in answer.headers]
    outcome = _outcome(answer.status, "Mendgate-Quarantine" in names, healed=bool(deed.heals))
    observe(Wrote(deed.table, operation, _who(caller), outcome, seconds, deed.rows, deed.heals, "Mendgate-Changed" in names, deed.waited))


def refused(request: Request, caller: Caller, status: int, seconds: float) -> None:
    """A request that was refused, or failed."""
    if request.is_write:
        observe(Wrote("", _OPERATIONS.get(request.method, ""), _who(caller), _outcome(status, False, healed=False), seconds))
    else:
        observe(Read("", _who(caller), status < OURS, seconds))


def replayed(outcome: Literal["landed", "failed", "conflict"], deed: Deed | None) -> None:
    """A kept write that was tried again."""
    done = deed or _UNKNOWN
    observe(Replayed(done.table, outcome, done.heals[0][1] if done.heals else ""))


def asked(call: Call) -> None:
    """A call of the AI gateway. A model that nobody answered as is not told by name: callers make names up."""
    observe(
        Asked(
            call.model_served,
            call.provider,
            call.purpose,
            call.outcome,
            call.seconds,
            call.first_token_seconds,
            call.input_tokens,
            call.output_tokens,
            call.cost,
            call.saved_cost,
        )
    )


def spared() -> list[Saved]:
    """What this process's breakers have spared since this was asked last."""
    return [Saved(name, refused, rescued) for name, refused, rescued in registry.default.saved()]


def _outcome(status: int, kept: bool, *, healed: bool) -> Outcome:
    if kept:
        return "kept"
    if status >= OURS:
        return "failed"
    if status >= 400:
        return "refused"
    return "healed" if healed else "healthy"


def _who(caller: Caller) -> str:
    return caller.key or caller.role
