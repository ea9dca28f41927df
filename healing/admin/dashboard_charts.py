"""The data of one chart: as JSON for the browser that draws it, as CSV for everybody else."""

from __future__ import annotations

from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from msgspec import to_builtins

from healing.admin.dashboard import VIEW
from healing.dashboard.asked import Asked, read
from healing.dashboard.chart import Chart
from healing.dashboard.charts import find
from healing.dashboard.csv_text import csv_text
from healing.dashboard.facts import PATIENCE
from metrics import timelines


def chart(request: HttpRequest, name: str) -> HttpResponse:
    """``?last=&table=&caller=``, and ``&format=csv``. 503 where the control database is too slow."""
    if not request.user.has_perm(VIEW):
        raise PermissionDenied
    read_chart = find(name)
    if read_chart is None:
        raise Http404
    asked = read(request.GET, timezone.now())
    try:
        with timelines.one_moment(PATIENCE):
            found = read_chart(asked)
    except OperationalError:
        return JsonResponse({"slow": True}, status=503)
    answer = _csv(name, asked, found) if request.GET.get("format") == "csv" else JsonResponse(to_builtins(found))
    add_never_cache_headers(answer)
    return answer


def _csv(name: str, asked: Asked, found: Chart) -> HttpResponse:
    answer = HttpResponse(csv_text(found.columns, found.rows), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="mendgate-{name}-{asked.last}.csv"'
    answer["X-Content-Type-Options"] = "nosniff"
    return answer
