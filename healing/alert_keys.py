"""API keys of Mendgate in alerts: taken out before a mail, a chat or a webhook gets them."""

from __future__ import annotations

import logging

from breakers.core import own_keys

log = logging.getLogger(__name__)


def without(text: str) -> str:
    """The text with ``mg_<prefix>_[removed]`` for each key, which our log names."""
    if "mg_" not in text:
        return text
    cleaned, ours = own_keys.without(text.encode(errors="surrogatepass"))
    if ours:
        log.warning("an alert held API keys of Mendgate (%s…): they were taken out, rotate them", "…, ".join(ours))
    return cleaned.decode(errors="surrogatepass")
