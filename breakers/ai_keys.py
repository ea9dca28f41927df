"""Providers' keys: added sealed, retired and revived by people. What a key is can be written, never read back."""

from __future__ import annotations

from django.utils import timezone

from breakers.ai_sealed import seal_key
from breakers.models import AiCredential, AiProvider

LEAST = 8


class UnfitKey(ValueError):
    """The text cannot be a key; ``str()`` says why."""


def add_key(provider: AiProvider, label: str, secret: str, position: int = 0) -> AiCredential:
    """A new active key. Raises ``UnfitKey``."""
    row = AiCredential(provider=provider, label=label, position=position)
    set_secret(row, secret)
    row.save()
    return row


def set_secret(row: AiCredential, secret: str) -> None:
    """Seals it into a row that is not saved yet. Raises ``UnfitKey``."""
    secret = secret.strip()
    if len(secret) < LEAST or len(secret) > 4096:
        raise UnfitKey(f"A key has {LEAST} to 4096 characters.")
    if not secret.isascii() or not secret.isprintable() or " " in secret:
        raise UnfitKey("A key has plain letters, digits and signs only, no spaces: was more copied than the key?")
    row.secret = seal_key(secret)
    row.last_four = secret[-4:]


def retire(row: AiCredential, why: str) -> bool:
    """Out of use, in every process. False where it was already."""
    return _turn(row, AiCredential.State.RETIRED, why)


def revive(row: AiCredential, why: str) -> bool:
    """In use again."""
    return _turn(row, AiCredential.State.ACTIVE, why)


def lift(row: AiCredential) -> bool:
    """It need not rest any longer, whatever its provider said, in every process. False where it is out of use."""
    fresh = AiCredential.objects.get(pk=row.pk)
    if fresh.state != AiCredential.State.ACTIVE:
        return False
    fresh.lifted_at = timezone.now()
    fresh.save(update_fields=["lifted_at"])
    return True


def _turn(row: AiCredential, state: str, why: str) -> bool:
    fresh = AiCredential.objects.get(pk=row.pk)
    if fresh.state == state:
        return False
    fresh.state, fresh.why, fresh.changed_at = state, why[:500], timezone.now()
    fresh.save(update_fields=["state", "why", "changed_at"])
    return True
