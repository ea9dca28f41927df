"""Signs reports: Ed25519, the key derived from SECRET_KEY. Whoever holds the public key, which is part of the report, can check one.

That a report is *this installation's* is known by the key: ``trusted`` are those of SECRET_KEY and its fallbacks.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

ALGORITHM = "Ed25519"


def public_key(secret: str) -> str:
    """As it stands in reports, in hexadecimal."""
    return _private(secret).public_key().public_bytes_raw().hex()


def signed(report: dict[str, Any], secret: str) -> str:
    """The report with its signature, as JSON text."""
    signature = {"algorithm": ALGORITHM, "key": public_key(secret), "value": _private(secret).sign(_bytes(report)).hex()}
    return json.dumps({"report": report, "signature": signature}, ensure_ascii=False, indent=None)


def fault_of(text: str, trusted: Collection[str]) -> str:
    """Why a signed report is not to be believed, in a sentence; '' where its signature holds and its key is ``trusted``. A name that
    stands twice is refused: readers take the one or the other, and only one of them is signed."""
    try:
        whole = json.loads(text, object_pairs_hook=_once)
        report, signature = whole["report"], whole["signature"]
        key, value = bytes.fromhex(signature["key"]), bytes.fromhex(signature["value"])
        if signature["algorithm"] != ALGORITHM or set(whole) != {"report", "signature"}:
            return "This is no report of a game day."
        Ed25519PublicKey.from_public_bytes(key).verify(value, _bytes(report))
    except InvalidSignature:
        return "The report was changed after it was signed."
    except (ValueError, KeyError, TypeError):
        return "This is no report of a game day."
    if key.hex() not in trusted:
        return f"The signature holds, but its key {key.hex()[:16]}… is not this installation's: nobody here vouches for it."
    return ""


def _private(secret: str) -> Ed25519PrivateKey:
    seed = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"mendgate gameday v1").derive(secret.encode())
    return Ed25519PrivateKey.from_private_bytes(seed)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice")
    return found


def _bytes(report: dict[str, Any]) -> bytes:
    """One spelling, however the text was indented."""
    return json.dumps(report, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()
