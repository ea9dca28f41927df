"""Takes out of a body what may be somebody's: addresses, keys and tokens, card and telephone numbers, files.

What is left says how a call went, not about whom. It is a net, not a proof: names and free text stay, so bodies are stored only where
an operator switches that on.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec

from breakers.core.ai.joined import joined

MOST = 16_384
"""Characters that are kept of a body."""
_READ = 65_536


def _if_mixed(found: re.Match[str]) -> str:
    """Letters and digits that long are a key or a file; letters alone are a word or a rule."""
    text = found[0]
    return "[key]" if any(map(str.isdigit, text)) and any(map(str.isalpha, text)) else text


_NAMED = (
    r'("[^"\\]{0,60}(?:(?:passw|secret|api_?key|authorization|cookie|credential|private_?key|cvv)[^"\\]{0,60}|token|(?<=")pin|(?<=")ssn)'
    r'\\{0,7}"\s{0,9}:\s{0,9}\\{0,7}")(?:[^"\\]|\\[^"\\]){1,4000}'
)
"""A member with a telling name, in JSON that is not read as such."""
_PATTERNS: tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...] = (
    (re.compile(_NAMED, re.IGNORECASE), r"\1[secret]"),
    (re.compile(r"data:[\w.+-]{1,50}/[\w.+-]{1,50}(?:;[\w=.-]{1,50})*,[A-Za-z0-9+/=_-]+"), "[file]"),
    (re.compile(r"[\w.%+-]{1,100}@[\w-]{1,100}(?:\.[\w-]{1,63})+"), "[email]"),
    (re.compile(r"(?i)\b(?:bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"), "[token]"),
    (re.compile(r"://[^/\s@:]{1,200}:[^/\s@]{1,200}@"), "://[login]@"),
    (re.compile(r"\beyJ[\w-]{6,}(?:\.[\w-]*){0,4}"), "[token]"),
    (re.compile(r"\b(?:sk|pk|rk|mg|gsk|hf|xai|ghp|gho|ghs|github_pat|glpat|xox[abprs]|AIza|AKIA|sbp)[-_A-Za-z0-9]{8,}"), "[key]"),
    (re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b"), "[account]"),
    (re.compile(r"[A-Za-z0-9_+/-]{32,}={0,2}"), _if_mixed),
    (re.compile(r"\+?\(?\d(?:[ ()./-]{0,2}\d){6,}"), "[number]"),
)
_SECRETIVE = re.compile(r"passw|secret|token$|api_?key|authorization|cookie|credential|private_?key|^pin$|^ssn$|^cvv", re.IGNORECASE)
_PLAIN = frozenset({"model", "object", "role", "type", "finish_reason", "id", "system_fingerprint"})
"""Of the dialect itself: names of things, which may look like keys or numbers."""
_NO_NAME = re.compile(r"@[\w-]+\.|\b(?:sk|pk|rk|mg|gsk|ghp)[-_][-_A-Za-z0-9]{8,}|\beyJ[\w-]{6,}\.")
"""What is no such name, whoever wrote it there."""
_LONG_NUMBER = 10**10


def redact(body: bytes) -> str:
    """A body as it may be stored: JSON stays JSON unless it is cut, a stream becomes what it adds up to; anything else is text."""
    if body.startswith(b"data:") and (whole := joined(body[:_READ])) is not None:
        body = msgspec.json.encode(whole)
    text = body[:_READ].decode("utf-8", "replace")
    try:
        text = msgspec.json.encode(_value(msgspec.json.decode(body), top=True)).decode() if len(body) <= _READ else redact_text(text)
    except (msgspec.DecodeError, RecursionError):
        text = redact_text(text)
    return text if len(text) <= MOST else f"{text[:MOST]}… ({len(text) - MOST} characters more)"


def redact_text(text: str) -> str:
    """Plain text, redacted."""
    for pattern, instead in _PATTERNS if text else ():
        text = pattern.sub(instead, text)
    return text.replace("\0", "")


def _value(value: Any, *, top: bool = False) -> Any:
    match value:
        case str():
            return _text(value)
        case bool():
            return value
        case int() | float() if abs(value) >= _LONG_NUMBER:
            return "[number]"
        case list():
            return [_value(each) for each in value]
        case dict():
            return {redact_text(name): _member(name, each, top) for name, each in value.items()}
    return value


def _text(text: str) -> str:
    """Text may be JSON itself: what tools are called with is."""
    if text[:1] in ("{", "[") and text[-1:] in ("}", "]"):
        with suppress(msgspec.DecodeError, RecursionError):
            return msgspec.json.encode(_value(msgspec.json.decode(text))).decode()
    return redact_text(text)


def _member(name: str, value: Any, top: bool) -> Any:
    if isinstance(value, str) and name in _PLAIN and (top or name in ("role", "type")) and not _NO_NAME.search(value):
        return value
    if isinstance(value, str | int | float) and not isinstance(value, bool) and _SECRETIVE.search(name):
        return "[secret]"
    return _value(value)
