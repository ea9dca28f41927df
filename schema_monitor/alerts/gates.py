"""Asks before a destination is spoken to, so that one that is down is left alone by all who would write to it.

Who answers is given at start (``resilience_site.wiring``): this layer knows no breakers. What is held back costs the message no
attempt; it is due again when the gate says.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from msgspec import Struct

from schema_monitor.alerts.sent import Sent


class Held(Struct, frozen=True):
    """Not now: why, and for how long."""

    why: str
    pause: timedelta


class Verdict(Struct, frozen=True):
    """What an attempt says of a destination. ``fault``: it failed by itself; None: it said nothing about that."""

    fault: bool | None
    seconds: float
    error: str


Settle = Callable[[Verdict], None]
Ask = Callable[[str], Settle | Held | None]
"""From a destination's name to whom the verdict goes, or that it is held back; None: nobody minds."""


def _nobody_minds(_: str) -> None:
    """Every gate is open."""


_ask: Ask = _nobody_minds


def configure(ask: Ask | None) -> None:
    """Gives the one who answers; None: every gate is open."""
    global _ask
    _ask = ask or _nobody_minds


def through(destination: str, send: Callable[[], Sent]) -> Sent:
    """Sends, unless the destination's gate holds it back. ``destination`` '' has no gate."""
    answer = _ask(destination) if destination else None
    if isinstance(answer, Held):
        return Sent(False, error=answer.why, pause=answer.pause, held=True)
    if answer is None:
        return send()
    sent = Sent(False, error="Not sent")
    verdict = Verdict(None, 0.0, "")
    try:
        sent = send()
        verdict = Verdict(_at_fault(sent), (sent.milliseconds or 0) / 1000, sent.error)
    finally:
        answer(verdict)
    return sent


def _at_fault(sent: Sent) -> bool | None:
    """No answer, or one that says "I am broken" (HTTP 5xx; SMTP's 4xx says "later"). What refuses this message (HTTP 4xx, a mailbox that
    is not there) is well itself."""
    if sent.ok:
        return False
    if sent.status is None:
        return True
    if sent.mail:
        return True if sent.status < 500 else None
    return True if sent.status >= 500 else None
