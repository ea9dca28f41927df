"""Errors of the data API as PostgREST words them: class, code, status, and a constructor for each case.

DialectError          anything that is answered as ``{code, message, details, hint}``
  PGRST0xx            connection (see ``unavailable``)
  PGRST1xx            the request          PGRST2xx  the schema          PGRST3xx  the token
  SQLSTATE            what Postgres said; ``sqlstates.status_of`` gives the HTTP status
"""

from __future__ import annotations

import msgspec

from healing.core.types import Failure, Json
from healing.gateway.own_headers import sendable
from healing.gateway.sqlstates import raised, status_of

Headers = tuple[tuple[str, str], ...]


class DialectError(Exception):
    """An answer that is not the one asked for. ``details`` is text, or a list for ambiguous embeddings."""

    def __init__(
        self,
        code: str,
        status: int,
        message: str,
        details: Json = None,
        hint: str | None = None,
        headers: Headers = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.message = message
        self.details = details
        self.hint = hint
        self.headers = headers

    def to_body(self) -> bytes:
        """The body: exactly the four keys. Half a character (a lone surrogate, as a token may hold) is shown as a question mark."""
        shape = {"code": self.code, "message": self.message, "details": self.details, "hint": self.hint}
        try:
            return msgspec.json.encode(shape)
        except UnicodeEncodeError:
            return msgspec.json.encode({**shape, "message": self.message.encode(errors="replace").decode()})


def from_failure(failure: Failure, *, authenticated: bool) -> DialectError:
    """The answer to a database error. A ``RAISE SQLSTATE 'PGRST'`` sets everything itself."""
    if failure.code == "PGRST":
        return _from_raise(failure)
    status = status_of(failure.code, failure.message, authenticated=authenticated)
    headers: Headers = (("WWW-Authenticate", "Bearer"),) if status == 401 else ()
    if status == 503:
        headers = (("Retry-After", str(failure.retry_after or 1)),)
    return DialectError(failure.code, status, failure.message, failure.details, failure.hint, headers)


def _from_raise(failure: Failure) -> DialectError:
    answer = raised(failure.message, failure.details)
    if answer is None:
        return DialectError("PGRST121", 500, "Could not parse JSON in the \"RAISE SQLSTATE 'PGRST'\" error")
    said, how = answer
    headers = [pair for pair in sendable(how.headers.items()) if pair[0].lower() != "content-type"]
    return DialectError(said.code, how.status, said.message, said.details, said.hint, tuple(headers))


# --- PGRST1xx: the request -----------------------------------------------------------------------------------------


def parse_error(what: str, at: int, details: str) -> DialectError:
    """Part of the query string could not be read; ``at`` is the 0-based place."""
    return DialectError("PGRST100", 400, f'"{what}" (line 1, column {at + 1})', details)


def bad_query(details: str) -> DialectError:
    """The query string is no text: wrong percent-encoding, wrong UTF-8, NUL."""
    return DialectError("PGRST100", 400, "failed to decode the query string", details)


def rpc_method(method: str) -> DialectError:
    """Functions are called by GET, HEAD and POST."""
    return DialectError("PGRST101", 405, f"Cannot use the {method} method on RPC")


def invalid_body(message: str = "Empty or invalid json") -> DialectError:
    """The payload is no JSON, or its objects do not match."""
    return DialectError("PGRST102", 400, message)


def range_error(details: str) -> DialectError:
    """A range that cannot be."""
    return DialectError("PGRST103", 416, "Requested range not satisfiable", details)


def out_of_bounds(offset: int, total: int) -> DialectError:
    """An offset past the end where the total is known."""
    return range_error(f"An offset of {offset} was requested, but there are only {total} rows.")


def put_filters() -> DialectError:
    """PUT without exactly the primary key as filter."""
    return DialectError("PGRST105", 405, "Filters must include all and only primary key columns with 'eq' operators")


def unacceptable_schema(schema: str, exposed: tuple[str, ...]) -> DialectError:
    """A profile header names a schema that is not exposed."""
    hint = f"Only the following schemas are exposed: {', '.join(exposed)}"
    return DialectError("PGRST106", 406, f"Invalid schema: {schema}", None, hint)


def unacceptable_media(accepted: str) -> DialectError:
    """None of the accepted media types is served."""
    return DialectError("PGRST107", 406, f"None of these media types are available: {accepted}")


def not_embedded(name: str) -> DialectError:
    """A filter, order or limit on something that is not in ``select``."""
    hint = f"Verify that '{name}' is included in the 'select' query parameter."
    return DialectError("PGRST108", 400, f"'{name}' is not an embedded resource in this request", None, hint)


def put_limits() -> DialectError:
    """PUT with a limit or an offset."""
    return DialectError("PGRST114", 400, "limit/offset querystring parameters are not allowed for PUT")


def put_mismatch() -> DialectError:
    """PUT whose payload has another key than its URL."""
    return DialectError("PGRST115", 400, "Payload values do not match URL in primary key column(s)")


def not_singular(n: int) -> DialectError:
    """One object was asked for and the result has ``n`` rows."""
    details = f"The result contains {n} rows"
    return DialectError("PGRST116", 406, "Cannot coerce the result to a single JSON object", details)


def unsupported_method(method: str) -> DialectError:
    """A method that no resource has."""
    return DialectError("PGRST117", 405, f"Unsupported HTTP method: {method}")


def related_order(origin: str, target: str) -> DialectError:
    """An order by a to-many embedding."""
    details = f"'{origin}' and '{target}' do not form a many-to-one or one-to-one relationship"
    return DialectError("PGRST118", 400, f"A related order on '{target}' is not possible", details)


def embedded_operator(name: str) -> DialectError:
    """An operator other than ``is.null`` on an embedding."""
    details = "Only is null or not is null filters are allowed on embedded resources"
    return DialectError("PGRST120", 400, f"Bad operator on the '{name}' embedded resource", details)


def invalid_preferences(unknown: tuple[str, ...]) -> DialectError:
    """Unknown preferences under ``handling=strict``."""
    details = f"Invalid preferences: {', '.join(unknown)}"
    return DialectError("PGRST122", 400, "Invalid preferences given with handling=strict", details)


def too_many_affected(n: int) -> DialectError:
    """More rows than ``max-affected`` under ``handling=strict``."""
    message = "Query result exceeds max-affected preference constraint"
    return DialectError("PGRST124", 400, message, f"The query affects {n} rows")


def invalid_path() -> DialectError:
    """A path that is neither ``/table`` nor ``/rpc/function``."""
    return DialectError("PGRST125", 404, "Invalid path specified in request URL")


def not_implemented(details: str) -> DialectError:
    """Part of the dialect that is not served here."""
    return DialectError("PGRST127", 400, "Feature not implemented", details)


def affected_needs_set() -> DialectError:
    """``max-affected`` on a function that returns one value."""
    message = "Function must return SETOF or TABLE when max-affected preference is used with handling=strict"
    return DialectError("PGRST128", 400, message)


# --- PGRST2xx: the schema ------------------------------------------------------------------------------------------


def no_relationship(parent: str, child: str, hint: str | None, schema: str) -> DialectError:
    """Nothing links the two."""
    using = f"' using the hint '{hint}" if hint is not None else ""
    details = (
        f"Searched for a foreign key relationship between '{parent}' and '{child}{using}' "
        f"in the schema '{schema}', but no matches were found."
    )
    message = f"Could not find a relationship between '{parent}' and '{child}' in the schema cache"
    return DialectError("PGRST200", 400, message, details)


def ambiguous_relationship(parent: str, child: str, details: list[dict[str, str]], ways: list[str]) -> DialectError:
    """More than one thing links the two; ``ways`` are the names that would choose one."""
    message = f"Could not embed because more than one relationship was found for '{parent}' and '{child}'"
    choices = ", ".join(f"'{way}'" for way in ways)
    hint = f"Try changing '{child}' to one of the following: {choices}. Find the desired relationship in the 'details' key."
    return DialectError("PGRST201", 300, message, details, hint)


def unknown_function(schema: str, name: str, given: tuple[str, ...], *, post: bool) -> DialectError:
    """No function of that name takes those arguments."""
    names = ", ".join(given)
    plural = "s " if len(given) > 1 else " "
    having = f" with parameter{plural}{names}" if given else " without parameters"
    unnamed = " or with a single unnamed json/jsonb parameter" if post else ""
    message = f"Could not find the function {schema}.{name}{f'({names})' if given else ' without parameters'} in the schema cache"
    details = f"Searched for the function {schema}.{name}{having}{unnamed}, but no matches were found in the schema cache."
    return DialectError("PGRST202", 404, message, details)


def ambiguous_function(candidates: tuple[str, ...]) -> DialectError:
    """Several overloads take those arguments."""
    hint = "Try renaming the parameters or the function itself in the database so function overloading can be resolved"
    message = f"Could not choose the best candidate function between: {', '.join(candidates)}"
    return DialectError("PGRST203", 300, message, None, hint)


def unknown_column(relation: str, column: str) -> DialectError:
    """A payload key, or an entry of ``columns``, that the relation lacks."""
    return DialectError("PGRST204", 400, f"Could not find the '{column}' column of '{relation}' in the schema cache")


def unknown_table(schema: str, name: str, hint: str | None = None) -> DialectError:
    """No such table, view or foreign table."""
    return DialectError("PGRST205", 404, f"Could not find the table '{schema}.{name}' in the schema cache", None, hint)


def undefined_column(relation: str, column: str, hint: str | None = None) -> DialectError:
    """What Postgres says of an unknown column in ``select``, a filter or an order."""
    return DialectError("42703", 400, f"column {relation}.{column} does not exist", None, hint)


# --- PGRST0xx and 3xx: the connection and the token ----------------------------------------------------------------


def unavailable(code: str = "PGRST001", message: str = "Database client error. Retrying the connection.") -> DialectError:
    """The database cannot be reached now."""
    return DialectError(code, 503, message, None, None, (("Retry-After", "1"),))


def unauthorized(code: str, message: str) -> DialectError:
    """A missing or wrong token: PGRST301 cannot be decoded, 302 is required, 303 has wrong claims."""
    challenge = "Bearer"
    if code != "PGRST302":
        challenge = f'Bearer error="invalid_token", error_description="{message}"'
    return DialectError(code, 401, message, None, None, (("WWW-Authenticate", challenge),))
