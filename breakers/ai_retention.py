"""Forgets calls after their time, and everything about one caller when that is asked for. Sums of a day stay: they name no one's words."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection, transaction
from django.utils import timezone

from breakers.forgetting import delete_old
from breakers.models import AiAllowance, AiCall, AiNotice, AiSettings, AiSpend

BATCH = 5_000
_OLD = "DELETE FROM breakers_aicall WHERE id IN (SELECT id FROM breakers_aicall WHERE at < %s ORDER BY at LIMIT %s)"
KEPT_NOTICES = timedelta(days=400)


def prune(batches: int = 20) -> int:
    """Deletes calls older than the settings say, in batches that hold no lock for long. Returns how many went."""
    gone = delete_old(_OLD, AiSettings.load().retention_days, batches, BATCH)
    AiNotice.objects.filter(at__lt=timezone.now() - KEPT_NOTICES).delete()
    return gone


@transaction.atomic
def erase(key: str) -> int:
    """Deletes the calls of one API key, and takes its id out of the sums, which stay as nobody's. Its allowance goes, too. Returns how
    many calls went."""
    calls, _ = AiCall.objects.filter(key=key).delete()
    AiNotice.objects.filter(key=key).delete()
    for allowance in AiAllowance.objects.filter(key=key):
        allowance.delete()
    with connection.cursor() as cursor:
        cursor.execute(_NOBODYS, [key])
    AiSpend.objects.filter(key=key).delete()
    return calls


_NOBODYS = """
INSERT INTO breakers_aispend AS s (day, key, purpose, model, provider, requests, failed, rescued, cached, input_tokens, output_tokens,
    cached_tokens, cost, saved, seconds)
SELECT day, 'erased', purpose, model, provider, requests, failed, rescued, cached, input_tokens, output_tokens, cached_tokens, cost, saved,
    seconds FROM breakers_aispend WHERE key = %s
ON CONFLICT (day, key, purpose, model, provider) DO UPDATE SET requests = s.requests + excluded.requests,
    failed = s.failed + excluded.failed, rescued = s.rescued + excluded.rescued, cached = s.cached + excluded.cached,
    input_tokens = s.input_tokens + excluded.input_tokens, output_tokens = s.output_tokens + excluded.output_tokens,
    cached_tokens = s.cached_tokens + excluded.cached_tokens, cost = s.cost + excluded.cost, saved = s.saved + excluded.saved,
    seconds = s.seconds + excluded.seconds"""
