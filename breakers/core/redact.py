"""A sample error that may be shown: its kind and the shape of its message, without values that may be somebody's."""

from __future__ import annotations

import re

LONGEST = 200
_READ = 2_000
_HIDDEN = "…"
_SECRET = re.compile(
    r"""(?P<url>://)[^\s@]{0,300}@"""  # the user and password of a URL
    r"""|(?P<query>\?)[^\s'"]+"""
    r"""|"[^"]*"|'[^']*'|(?P<key>=\()[^)]*"""  # the last is Postgres's: Key (a)=(b)
    r"""|(?P<named>(?i:password|passwd|pwd|secret|token|api[-_]?key|authorization)["']?\s?[:=]\s?(?:(?i:bearer|basic)\s)?"""
    r"""|\b(?i:bearer)\s)[^\s,;)]+"""
    r"""|(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+"""  # an e-mail address
    r"""|\b(?:sk|pk|eyJ)[-_A-Za-z0-9.]{6,}"""  # API keys and tokens
    r"""|\b[A-Za-z0-9+/_-]{24,}={0,2}"""
    r"""|\d{4,}"""
)


def redact(error: str | BaseException) -> str:
    """At most 200 characters on one line, all of which can be written as UTF-8."""
    name = "" if isinstance(error, str) else type(error).__name__
    said = " ".join(_text(error)[:_READ].split())
    hidden = _SECRET.sub(lambda found: (found["url"] or found["query"] or found["named"] or found["key"] or "") + _HIDDEN, said)
    return (f"{name}: {hidden}" if name and hidden else name or hidden)[:LONGEST]


def _text(error: str | BaseException) -> str:
    try:
        return str(error).encode("utf-8", "backslashreplace").decode()
    except Exception:  # somebody's __str__
        return ""
