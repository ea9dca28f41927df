"""Which HTTP status a database error becomes: one table, a reason a row, PostgREST's choices."""

from __future__ import annotations

import msgspec
from msgspec import Struct, field

EXACT: dict[str, int] = {
    "23503": 409,  # foreign key violation
    "23505": 409,  # unique violation
    "25006": 405,  # a write in a read-only transaction: the method is wrong
    "42883": 404,  # undefined function
    "42P01": 404,  # undefined table
    "42P17": 500,  # infinite recursion in a policy
    "53400": 500,  # configuration limit exceeded
    "57014": 504,  # the statement ran out of time
    "57P01": 503,  # the administrator ends connections
    "57P02": 503,  # the server crashed
    "57P03": 503,  # the server is starting
    "P0001": 400,  # RAISE
    "MG503": 503,  # ours: it cannot be done or known now
    "MG504": 504,  # ours: how it ended could not be found out
    "PGRST001": 503,  # the breaker of the database is open
    "PGRST003": 504,  # the database did not answer in time
}
BY_CLASS: dict[str, int] = {
    "08": 503,  # connection
    "09": 500,  # triggered action
    "0L": 403,  # invalid grantor
    "0P": 403,  # invalid role
    "25": 500,  # invalid transaction state
    "28": 403,  # invalid authorization
    "2D": 500,  # invalid transaction termination
    "38": 500,  # external routine
    "39": 500,  # external routine invocation
    "3B": 500,  # savepoint
    "40": 500,  # transaction rollback
    "53": 503,  # insufficient resources
    "54": 500,  # too complex
    "55": 500,  # object not in the prerequisite state
    "57": 500,  # operator intervention
    "58": 500,  # system error
    "F0": 500,  # configuration file
    "HV": 500,  # foreign data wrapper
    "P0": 500,  # PL/pgSQL
    "XX": 500,  # internal
}
OTHERWISE = 400


class Said(Struct):
    """The MESSAGE of a ``RAISE SQLSTATE 'PGRST'``."""

    code: str
    message: str
    details: str | None = None
    hint: str | None = None


class How(Struct):
    """The DETAIL of a ``RAISE SQLSTATE 'PGRST'``."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    status_text: str | None = None


def status_of(code: str, message: str, *, authenticated: bool) -> int:
    """The status for a SQLSTATE; ``authenticated`` is False for the anonymous role."""
    if code == "42501":
        return 403 if authenticated else 401
    if code == "21000":  # pg_safeupdate's refusal is the client's fault, anything else of this code the server's
        return 400 if message.endswith("requires a WHERE clause") else 500
    if code == "22023" and message.startswith("role") and message.endswith("does not exist"):
        return 401  # the token names a role that is not there
    if code.startswith("PT"):
        return _own_status(code[2:])
    return EXACT.get(code) or BY_CLASS.get(code[:2], OTHERWISE)


def _own_status(digits: str) -> int:
    return int(digits) if digits.isascii() and digits.isdigit() and 200 <= int(digits) <= 599 else 500


def raised(message: str, detail: str | None) -> tuple[Said, How] | None:
    """The answer that a function set by raising ``PGRST``; None where it is not in the agreed form."""
    try:
        said = msgspec.json.decode(message, type=Said)
        how = msgspec.json.decode(detail or "", type=How)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None
    return (said, how) if 200 <= how.status <= 599 else None
