"""Transactions: which there were, and one with its operations, what was healed, and why it was rolled back."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from unfold.decorators import display

from healing.admin.bounded import BoundedPaginator
from healing.admin.doors import ReadOnlyAdmin, closed, row_or_404
from healing.gateway.seal import SealError
from healing.models import ApiKey, TransactionLog
from healing.templatetags.mendgate import ago, state
from healing.transaction_story import told


class HealedFilter(admin.SimpleListFilter):
    """Only those with a heal inside."""

    title, parameter_name = "healing", "healed"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Yes and no."""
        return [("yes", "healed inside"), ("no", "nothing to heal")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[TransactionLog]) -> QuerySet[TransactionLog]:
        """Only those."""
        return {"yes": queryset.filter(healed__gt=0), "no": queryset.filter(healed=0)}.get(self.value() or "", queryset)


@admin.register(TransactionLog)
class TransactionLogAdmin(ReadOnlyAdmin):
    """The list shows no values."""

    list_display = ("what", "shown_state", "shown_healed", "shown_attempts", "took", "caller", "when")
    list_filter = ("state", HealedFilter, "isolation")
    search_fields = ("id",)
    search_help_text = "A transaction's id (the header Mendgate-Transaction), a table, a caller's name or user."
    show_full_result_count = False
    paginator = BoundedPaginator
    change_form_template = "admin/healing/transaction.html"
    change_list_template = "admin/healing/transaction_list.html"

    @display(description="Transaction")
    def what(self, row: TransactionLog) -> str:
        """How much, where."""
        return f"{row.operations} operation{'s' * (row.operations != 1)}: {', '.join(row.tables[:4])}{' …' * (len(row.tables) > 4)}"

    @display(description="State", ordering="state")
    def shown_state(self, row: TransactionLog) -> str:
        """Colour and word, and the code of the error."""
        return format_html("{} {}", state(row.state), row.code)

    @display(description="Healed", ordering="healed")
    def shown_healed(self, row: TransactionLog) -> str:
        """How many operations were."""
        return f"{row.healed} of {row.operations}" if row.healed else "–"

    @display(description="Tries", ordering="attempts")
    def shown_attempts(self, row: TransactionLog) -> str:
        """How often it began."""
        return str(row.attempts)

    @display(description="Took", ordering="seconds")
    def took(self, row: TransactionLog) -> str:
        """In milliseconds."""
        return f"{row.seconds * 1000:,.1f} ms"

    @display(description="Caller")
    def caller(self, row: TransactionLog) -> str:
        """The key's name and the role."""
        return f"{row.key_name or 'no key'} ({row.role})"  # type: ignore[attr-defined]

    @display(description="When", ordering="at")
    def when(self, row: TransactionLog) -> str:
        """How long ago."""
        return ago(row.at)

    def get_queryset(self, request: HttpRequest) -> QuerySet[TransactionLog]:
        """With the names of keys."""
        name = ApiKey.objects.filter(pk=OuterRef("key")).values("name")[:1]
        rows: QuerySet[TransactionLog] = super().get_queryset(request)
        return rows.defer("sealed").annotate(key_name=Subquery(name))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[TransactionLog], search_term: str
    ) -> tuple[QuerySet[TransactionLog], bool]:
        """Each word is a table or a caller."""
        for word in search_term.split()[:8]:
            keys = list(ApiKey.objects.filter(Q(name__icontains=word) | Q(prefix=word)).values_list("pk", flat=True))
            queryset = queryset.filter(Q(tables__contains=[word]) | Q(subject=word) | Q(key__in=keys))
        return queryset, False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """An id leads to its story at once."""
        self.require_view(request)
        try:
            row = TransactionLog.objects.filter(pk=UUID(request.GET.get("q", "").strip())).only("pk").first()
        except ValueError:
            row = None
        if row is not None:
            return HttpResponseRedirect(reverse("admin:healing_transactionlog_change", args=[row.pk]))
        return super().changelist_view(request, extra_context)

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """One transaction's story."""
        self.require_view(request)
        row = row_or_404(TransactionLog.objects, object_id)
        try:
            story = told(row)
        except SealError as error:
            return closed(request, self, "Transaction", error)
        context = {
            **self.admin_site.each_context(request), "title": "Transaction", "opts": self.opts, "row": row, "told": story,
            "key": ApiKey.objects.filter(pk=row.key).first() if row.key else None,
        }  # fmt: skip
        return TemplateResponse(request, self.change_form_template, context)
