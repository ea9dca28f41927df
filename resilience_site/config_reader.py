"""Reads single values from an environment mapping and collects what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

_WITHOUT_A_HOST = ("consolemail",)


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong. ``code`` is E… (must not start) or W… (works, but look)."""

    code: str
    message: str
    hint: str

    @property
    def id(self) -> str:
        """The id of the system check, e.g. ``mendgate.E001``."""
        return f"mendgate.{self.code}"

    @property
    def is_error(self) -> bool:
        """Errors stop the start, warnings do not."""
        return self.code.startswith("E")


class Reader:
    """One method per kind of value; each returns the value or its default, and notes a ``Problem`` for a bad one.

    An empty variable counts as not set. No message ever quotes a secret.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.problems: list[Problem] = []

    def problem(self, code: str, message: str, hint: str) -> None:
        """Note one."""
        self.problems.append(Problem(code, message, hint))

    def text(self, name: str) -> str | None:
        """The value without surrounding space, or None."""
        return self.environ.get(name, "").strip() or None

    def secret(self, name: str) -> str | None:
        """The value of ``name``, or the content of the file that ``name_FILE`` points to."""
        value, path = self.text(name), self.text(f"{name}_FILE")
        if value and path:
            self.problem("E003", f"{name} and {name}_FILE are both set.", "Unset one of the two.")
            return value
        if path is None:
            return value
        try:
            content = Path(path).expanduser().read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            self.problem("E002", f"{name}_FILE cannot be read ({type(error).__name__}).", f"Point {name}_FILE to a readable text file.")
            return None
        if not content:
            self.problem("E002", f"{name}_FILE is empty.", "Write the secret into that file.")
        return content or None

    def words(self, name: str, *, secret: bool = False) -> tuple[str, ...]:
        """A comma-separated list."""
        value = self.secret(name) if secret else self.text(name)
        return tuple(w.strip() for w in (value or "").split(",") if w.strip())

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number in ``low..high``."""
        value = self.text(name)
        if value is None:
            return default
        if value.isascii() and value.isdecimal() and low <= int(value) <= high:
            return int(value)
        self.problem("E004", f"{name} is {value!r}.", f"Set {name} to a whole number from {low} to {high}.")
        return default

    def url(self, name: str, schemes: tuple[str, ...], code: str, example: str, *, secret: bool = False) -> str | None:
        """A URL with one of ``schemes``; it may hold a password, so it is never quoted."""
        value = self.secret(name) if secret else self.text(name)
        if value is None:
            return None
        if not (why := _unusable(value, schemes)):
            return value
        self.problem(code, f"{name} is not a URL we can use: {why}.", f"Write it like {example}")
        return None

    def http_url(self, name: str) -> str | None:
        """An http(s) address, without a trailing slash."""
        value = self.url(name, ("http", "https"), "E009", "https://host.example/path")
        return value.rstrip("/") if value else None

    def postgres_url(self, name: str) -> str | None:
        """A Postgres address."""
        return self.url(name, ("postgresql", "postgres"), "E005", "postgresql://user:password@host:5432/database", secret=True)


def _unusable(url: str, schemes: tuple[str, ...]) -> str:
    """What is wrong with it, without a word of it; '' where nothing is."""
    if url.partition(":")[0].lower() not in schemes:
        return f"it does not begin with {' or '.join(f'{scheme}:' for scheme in schemes)}"
    try:
        parts = urlsplit(url)
        if parts.port == 0 or not (parts.netloc or parts.path or parts.scheme in _WITHOUT_A_HOST):
            return "it names no host, or port 0"
    except ValueError:
        return "its host or port cannot be read; in a password write @ : / ? # [ ] as %40 %3A %2F %3F %23 %5B %5D"
    return ""
