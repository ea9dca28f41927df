"""Why the control plane says no. Every refusal has a code, an HTTP status and a hint that says the way out.

Refused ─┬─ NotAllowed       the person lacks the right
         ├─ NeedsReason      a reason must be given
         ├─ AlreadyDecided   somebody was first
         ├─ DoesNotFit       the fix does not fit the live schema
         ├─ PolicyForbids    the policy of that table would never use it
         ├─ FourEyes         who wrote a fix may not approve it
         ├─ Stale            the page that was decided on is not what is there now
         ├─ TouchesHealthy   the rule would change writes that need no healing
         ├─ WrongState       the thing is not in a state that allows it
         └─ NotFound         no such thing, or not yours
"""

from __future__ import annotations


class Refused(Exception):
    """Nothing was done. ``str()`` is the message for a person."""

    code = "MG400"
    status = 400
    hint: str | None = None

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or type(self).hint


class NotAllowed(Refused):
    """The person lacks the right."""

    code, status = "MG403", 403
    hint = "Ask an administrator for the permission; API keys can never decide."


class NeedsReason(Refused):
    """A decision against something must say why."""

    code, status = "MG422", 422
    hint = "Say why in a few words; it is kept with the decision."


class AlreadyDecided(Refused):
    """Somebody was first, or a sibling was approved."""

    code, status = "MG409", 409


class DoesNotFit(Refused):
    """The fix does not type-check against the live schema."""

    code, status = "MG422", 422
    hint = "Edit the fix, or run capture_schema if the schema has changed since."


class PolicyForbids(Refused):
    """The policy of that table never uses approved rules."""

    code, status = "MG409", 409


class FourEyes(Refused):
    """Who wrote a fix may not approve it."""

    code, status = "MG403", 403
    hint = "Ask a second person to approve it."


class Stale(Refused):
    """The page that was decided on is not what is there now."""

    code, status = "MG409", 409
    hint = "Look at it as it is now, and decide again."


class TouchesHealthy(Refused):
    """The rule would change writes that need no healing."""

    code, status = "MG409", 409
    hint = "Edit the fix so that it does less, or reject it."


class WrongState(Refused):
    """The thing is not in a state that allows this."""

    code, status = "MG409", 409


class NotFound(Refused):
    """There is no such thing, or it is not yours."""

    code, status = "MG404", 404
