"""Forgets askings after their time. What they led to stays: proposals, rules, receipts; and the newest asking about each cause, by which a
proven answer is used again."""

from __future__ import annotations

from django.conf import settings

from breakers.forgetting import delete_old

_OLD = """
DELETE FROM healing_assistrun WHERE id IN (
    SELECT r.id FROM healing_assistrun r
    WHERE r.state = 'done' AND r.finished_at < %s
        AND EXISTS (SELECT FROM healing_assistrun n WHERE n.schema = r.schema AND n."table" = r."table" AND n.signature = r.signature
            AND n.state = 'done' AND n.finished_at > r.finished_at)
        AND NOT EXISTS (SELECT FROM healing_quarantineitem q WHERE q.assist_id = r.id)
    ORDER BY r.finished_at LIMIT %s)"""


def prune(batches: int = 20) -> int:
    """Deletes what is older than ASSIST_KEPT_DAYS, in batches that hold no lock for long. Returns how many went."""
    return delete_old(_OLD, settings.ASSIST_KEPT_DAYS, batches)
