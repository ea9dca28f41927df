"""A sender's word against a rule that a person stands behind: it stops the rule for that sender, and asks people again."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class Doubt(models.Model):
    """Gateways read it with plain SQL: the rule is not used for a caller of this ``identity`` (key, role and subject)."""

    rule = models.ForeignKey("healing.Rule", on_delete=models.CASCADE, related_name="doubts")
    identity = models.TextField()
    times = models.PositiveIntegerField(default=1, help_text="Writes that it took back, or called wrong.")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        app_label = "healing"
        ordering = ["at"]
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["rule", "identity"], name="a_sender_doubts_a_rule_once")]

    def __str__(self) -> str:
        return f"{self.identity} doubts {self.rule_id}"
