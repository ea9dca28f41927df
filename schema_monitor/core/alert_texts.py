"""Text that came from a database, made safe for where it is shown: names may hold anything, line breaks and mentions too."""

from __future__ import annotations

import re

_MARKDOWN = re.compile(r"([\\`*_\[\]()#|~>@:<])")


def one_line(text: str) -> str:
    """Without line breaks and control characters: a mail's subject is a header."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def cut(text: str, most: int) -> str:
    """At most so many characters, with an ellipsis where some are missing."""
    return text if len(text) <= most else text[: most - 1] + "…"


def for_slack(text: str) -> str:
    """mrkdwn without links and mentions of the text's own."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("*", "∗").replace("`", "ˋ")


def for_discord(text: str) -> str:
    """Markdown that shows the text as it is."""
    return _MARKDOWN.sub(r"\\\1", text)


def title(changes: int, worst: str, first: str) -> str:
    """One line that says it all: the sentence of a single change, else how many; of none: a test."""
    if changes == 0:
        return "Test: alerts of Mendgate arrive here"
    if changes == 1:
        return f"{worst}: {one_line(first)}"
    return f"{changes} schema changes, the worst is {worst}: {one_line(first)}"
