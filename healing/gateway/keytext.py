"""The text of an API key: ``mg_<prefix>_<secret><checksum>``.

The checksum tells a mistyped key from an unknown one without asking the database; it is no secret and no protection.
"""

from __future__ import annotations

import hashlib
import re
import secrets

from breakers.core.own_keys import ALPHABET, CHECKSUM, checksum

_SHAPE = re.compile(r"mg_[0-9A-Za-z]{8}_[0-9A-Za-z]{42,}", re.ASCII)
_PREFIX, _SECRET = 8, 36
"""36 letters of 62 are 214 bits."""


def make() -> tuple[str, str, str]:
    """A fresh key as (key, prefix, SHA-256 of the key in hex). Only prefix and hash are ever stored."""
    prefix = _letters(_PREFIX)
    body = f"mg_{prefix}_{_letters(_SECRET)}"
    key = body + checksum(body)
    return key, prefix, digest(key)


def check(text: str) -> bool:
    """Whether the text can be a key at all: the right shape, and its checksum fits."""
    if _SHAPE.fullmatch(text) is None:
        return False
    return checksum(text[:-CHECKSUM]) == text[-CHECKSUM:]


def digest(key: str) -> str:
    """What is stored instead of the key, and what it is looked up by."""
    return hashlib.sha256(key.encode()).hexdigest()


def _letters(count: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(count))
