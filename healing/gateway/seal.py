"""Sealing of payloads and claims at rest: AES-256-GCM, the key derived from ``SECRET_KEY`` and kept outside the databases.

A blob is ``version (1) | key id (4) | nonce (12) | ciphertext and tag``. New blobs use the first secret; blobs of older
secrets open as long as the secret is among the fallbacks, so keys rotate without a migration.

>>> configure("secret")
>>> unseal(seal(b"x"))
b'x'
"""

from __future__ import annotations

import os
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from healing.gateway.entropy import entropy

_VERSION = b"\x01"
_secrets: tuple[str, ...] = ()


class SealError(Exception):
    """The blob cannot be opened: it was sealed with a secret that is not configured, or it was damaged."""


def configure(secret: str, fallbacks: tuple[str, ...] = ()) -> None:
    """Sets the secrets; the first one seals, all of them open."""
    global _secrets
    _secrets = (secret, *fallbacks)


def seal(data: bytes) -> bytes:
    """Encrypts and authenticates ``data`` under the current secret."""
    key_id, cipher = _cipher(_configured()[0])
    nonce = entropy(12)
    return _VERSION + key_id + nonce + cipher.encrypt(nonce, data, _VERSION + key_id)


def unseal(blob: bytes | memoryview) -> bytes:
    """Opens a blob made by ``seal``. Raises ``SealError``."""
    raw = bytes(blob)
    for secret in _configured():
        key_id, cipher = _cipher(secret)
        if raw[:1] == _VERSION and raw[1:5] == key_id:
            try:
                return cipher.decrypt(raw[5:17], raw[17:], raw[:5])
            except InvalidTag as error:
                raise SealError("The sealed data was damaged.") from error
    raise SealError("Sealed with a secret that is not configured; add the old SECRET_KEY to SECRET_KEY_FALLBACKS.")


def key_ids() -> tuple[bytes, ...]:
    """What bytes 2 to 5 of a blob are, by secret: the current one first, then those that only open."""
    return tuple(_cipher(secret)[0] for secret in _configured())


def _configured() -> tuple[str, ...]:
    if not _secrets:
        fallbacks = os.environ.get("SECRET_KEY_FALLBACKS", "")
        configure(os.environ["SECRET_KEY"], tuple(s for s in fallbacks.split(",") if s))
    return _secrets


@lru_cache(maxsize=16)
def _cipher(secret: str) -> tuple[bytes, AESGCM]:
    derive = HKDF(algorithm=SHA256(), length=36, salt=None, info=b"mendgate payloads v1")
    material = derive.derive(secret.encode())
    return material[:4], AESGCM(material[4:])
