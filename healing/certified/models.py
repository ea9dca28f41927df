"""One decided cause a row: whether the matcher's best proposal for it was right, and who or what said so."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class MatchVerdict(models.Model):
    """Evidence for or against a bucket of the matcher's proposals (see ``healing.core.certify``). One cause counts once for a bucket;
    what speaks against it stays."""

    class How(models.TextChoices):
        APPROVED = "approved", "a person approved it"
        REJECTED = "rejected", "a person rejected it"
        OTHER = "other", "a person approved another fix for the same cause"
        DEMOTED = "demoted", "a rule that it became was demoted on evidence"
        REVERSED = "reversed", "a write healed by it was taken back, or called wrong"

    bucket = models.CharField(max_length=80, help_text="model/operation/from which said probability")
    schema = models.CharField(max_length=63)
    table = models.CharField(max_length=200)
    signature = models.TextField()
    content_hash = models.CharField(max_length=64, help_text="of the fix")
    right = models.BooleanField()
    how = models.CharField(max_length=10, choices=How.choices)
    who = models.CharField(max_length=150, help_text="the person, or the part that measured")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-at"]
        constraints = [
            models.UniqueConstraint(fields=["bucket", "schema", "table", "signature"], name="a_cause_counts_once_for_a_bucket"),
        ]
        indexes = [models.Index(fields=["schema", "table", "content_hash"], name="verdict_by_fix")]

    def __str__(self) -> str:
        return f"{self.schema}.{self.table} {self.signature}: {self.how}"
