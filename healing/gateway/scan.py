"""A cursor over one parameter's text, with the tokens that PostgREST's little languages share."""

from __future__ import annotations

import re

from healing.gateway.errors import DialectError, parse_error

DEEPEST = 32
"""How deep embeddings or logic may nest. Real requests stay below five."""
_NAME = re.compile(r"[\w $]+(?:-(?!>)[\w $]+)*")
_WORDS = re.compile(r"[\w $]+")
_KEY = re.compile(r"[^(\-:.,>)]+(?:-(?!>)[^(\-:.,>)]+)*")
_BLANKS = re.compile(r"[ \t\r\n]*")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


class Scanner:
    """Reads ``text`` from the left. ``what`` begins the error message, e.g. ``failed to parse filter (x)``."""

    __slots__ = ("at", "depth", "text", "what")

    def __init__(self, text: str, what: str) -> None:
        self.text = text
        self.what = what
        self.at = 0
        self.depth = 0

    @property
    def done(self) -> bool:
        """Nothing is left."""
        return self.at >= len(self.text)

    def peek(self) -> str:
        """The next character, '' at the end."""
        return self.text[self.at : self.at + 1]

    def sees(self, literal: str) -> bool:
        """Whether ``literal`` comes next."""
        return self.text.startswith(literal, self.at)

    def take(self, literal: str) -> bool:
        """Steps over ``literal`` if it comes next."""
        if not self.sees(literal):
            return False
        self.at += len(literal)
        return True

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Steps over ``pattern`` if it comes next."""
        found = pattern.match(self.text, self.at)
        if found is not None:
            self.at = found.end()
        return found

    def blanks(self) -> None:
        """Steps over white space."""
        self.match(_BLANKS)

    def expect(self, literal: str, name: str = "") -> None:
        """Steps over ``literal``, which must come next."""
        if not self.take(literal):
            raise self.error(name or f'"{literal}"')

    def expect_end(self) -> None:
        """Nothing may be left."""
        if not self.done:
            raise self.error("end of input")

    def deeper(self) -> None:
        """Counts one level of nesting; the caller takes it back by ``depth -= 1``."""
        self.depth += 1
        if self.depth > DEEPEST:
            raise parse_error(self.what, self.at, f"nested deeper than {DEEPEST} levels")

    def error(self, expecting: str) -> DialectError:
        """The error at this place."""
        unexpected = f'unexpected "{self.peek()}"' if not self.done else "unexpected end of input"
        return parse_error(self.what, self.at, f"{unexpected} expecting {expecting}")

    def quoted(self) -> str | None:
        """A text in double quotes with backslash escapes, if one comes next."""
        found = self.match(_QUOTED)
        return None if found is None else _ESCAPE.sub(r"\1", found[1])

    def name(self) -> str:
        """A field name: quoted, or letters, digits, ``_ $``, inner dashes and blanks."""
        quoted = self.quoted()
        if quoted is not None:
            return quoted
        found = self.match(_NAME)
        if found is None or not found[0].strip():
            raise self.error("field name (* or [a..z0..9_$])")
        return found[0].strip()

    def words(self) -> str:
        """The name of a type or a language."""
        found = self.match(_WORDS)
        if found is None or not found[0].strip():
            raise self.error("letter or digit")
        return found[0].strip()

    def key(self) -> str:
        """A key of a JSON path."""
        quoted = self.quoted()
        if quoted is not None:
            return quoted
        found = self.match(_KEY)
        if found is None or not found[0].strip():
            raise self.error("any non reserved character different from: .,>()")
        return found[0].strip()
