"""How many people a decision takes: one form, for one row."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminTextInputWidget

from healing import review_rules
from healing.models import ReviewRules


class ReviewRulesForm(forms.ModelForm):  # type: ignore[type-arg]
    """The row, and why it is changed."""

    why = forms.CharField(max_length=200, widget=UnfoldAdminTextInputWidget, help_text="Kept with the decision.")

    class Meta:
        model = ReviewRules
        fields = ("people", "four_eyes", "whole_relation")


@admin.register(ReviewRules)
class ReviewRulesAdmin(ModelAdmin):  # type: ignore[misc]
    """There is one row, or none: then it holds what holds without one."""

    form = ReviewRulesForm
    fields = ("people", "four_eyes", "whole_relation", "why")
    actions = None

    def has_add_permission(self, request: HttpRequest) -> bool:
        """It is there."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """It stays."""
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Straight to the one row."""
        return HttpResponseRedirect(reverse("admin:healing_reviewrules_change", args=[1]))

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> ReviewRules | None:
        """Shown before it is stored, too."""
        return review_rules.current() if object_id == "1" else None

    def save_model(self, request: HttpRequest, obj: ReviewRules, form: Any, change: bool) -> None:
        """By the model layer, which asks for the right and a reason, and writes the audit."""
        given = {name: form.cleaned_data[name] for name in ("people", "four_eyes", "whole_relation")}
        review_rules.change(request.user, form.cleaned_data["why"], **given)
