"""Who said yes to what, and how many must. The database itself refuses what these rows do not allow (migration 0010): an author's own
yes where four eyes are asked for, and an active rule with fewer people behind it than are asked for."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q

MOST_PEOPLE = 5


class ReviewRules(models.Model):
    """How decisions are made for this target. One row; without it: one person, who may be the author."""

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    four_eyes = models.BooleanField(default=False, help_text="Who wrote a fix may not approve it.")
    people = models.PositiveSmallIntegerField(
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_PEOPLE)],
        help_text="How many different people must approve a fix before it becomes a rule.",
    )
    whole_relation = models.BooleanField(
        default=False,
        help_text="Any change of its table sends a rule back to review. Else only what concerns the columns it names (docs/adr/0011).",
    )

    class Meta:
        app_label = "healing"
        verbose_name_plural = "review rules"
        constraints = [
            models.CheckConstraint(condition=Q(id=1), name="review_rules_are_one_row"),
            models.CheckConstraint(condition=Q(people__gte=1) & Q(people__lte=MOST_PEOPLE), name="review_rules_ask_for_some_people"),
        ]

    def __str__(self) -> str:
        eyes = "four eyes" if self.four_eyes else "authors may approve"
        return f"{self.people} must approve, {eyes}, {'any change' if self.whole_relation else 'changes of named columns'} → review"


class Approval(models.Model):
    """One person's yes, to exactly this fix, for exactly this cause and evidence, on exactly this relation. It may be taken back, and is
    never changed. ``author``, ``approver_name`` and ``four_eyes`` are filled in by the database."""

    id = models.BigAutoField(primary_key=True)
    proposal = models.ForeignKey("healing.Proposal", on_delete=models.CASCADE, related_name="approvals")
    approver = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    author = models.CharField(max_length=150, blank=True, default="")
    approver_name = models.CharField(max_length=150, blank=True, default="")
    four_eyes = models.BooleanField(default=False)
    seal = models.CharField(max_length=64, help_text="SHA-256 of fix, cause and evidence (binding.seal_of).")
    fingerprint = models.CharField(max_length=64, help_text="Of the relation.")
    note = models.TextField(blank=True, default="")
    at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    why_revoked = models.TextField(blank=True, default="")

    class Meta:
        app_label = "healing"
        ordering = ["at"]
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["proposal", "approver"], condition=Q(revoked_at__isnull=True), name="a_person_approves_once"),
            models.CheckConstraint(condition=Q(four_eyes=False) | ~Q(author=F("approver_name")), name="author_is_not_approver"),
        ]

    def __str__(self) -> str:
        return f"{self.approver_name} approved {self.proposal_id}"
