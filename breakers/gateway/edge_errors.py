"""What the API of breakers refuses, in the shape of the control API: {code, message, details, hint}."""

from __future__ import annotations


class EdgeError(Exception):
    """An answer that is not the one asked for."""

    def __init__(self, code: str, status: int, message: str, hint: str | None = None, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.code, self.status, self.message, self.hint, self.headers = code, status, message, hint, headers


def bad_input(message: str, hint: str | None = None) -> EdgeError:
    """The request cannot be read, or breaks a bound."""
    return EdgeError("MG422", 422, message, hint)


def forbidden(message: str, hint: str) -> EdgeError:
    """This caller may not."""
    return EdgeError("MG403", 403, message, hint)


def not_found(message: str, hint: str | None = None) -> EdgeError:
    """There is no such path or breaker."""
    return EdgeError("MG404", 404, message, hint)


def wrong_method(allowed: str) -> EdgeError:
    """The path is there, the method is not."""
    return EdgeError("MG405", 405, f"This is asked with {allowed}", None, (("Allow", allowed),))


def too_many(message: str, hint: str) -> EdgeError:
    """A bound on how much there may be is reached."""
    return EdgeError("MG429", 429, message, hint, (("Retry-After", "60"),))
