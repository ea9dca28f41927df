"""Two versions side by side, and one version as a file."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.text import slugify

from healing.admin.schema_pages import page, viewing
from healing.permits import CAPTURE
from healing.refusals import NotFound
from healing.schema_facts.compare import compare as side_by_side
from healing.schema_facts.compare import only
from healing.schema_facts.versions import light, snapshot_at
from schema_monitor.export import as_json, as_sql
from schema_monitor.models import SchemaChange, SchemaVersion

_MOST_TABLES = 100


@viewing
def compare(request: HttpRequest) -> HttpResponse:
    """``?from=&to=`` are epochs; the newest against the one before where they are not given."""
    newest = light().order_by("-epoch").first()
    if newest is None:
        return page(request, "compare", "Compare versions", newest=None)
    right = _epoch(request.GET.get("to"), newest.epoch)
    left = _epoch(request.GET.get("from"), max(1, right - 1))
    old, new = _version(left), _version(right)
    found = side_by_side(snapshot_at(left), snapshot_at(right))
    words = request.GET.get("q", "").strip()
    pairs = only(found.pairs, words) if words else found.pairs
    return page(
        request, "compare", f"Version {left} → {right}", newest=newest, old=old, new=new, found=found, pairs=pairs[:_MOST_TABLES],
        left_out=max(0, len(pairs) - _MOST_TABLES), words=words, recent=light().order_by("-epoch")[:200],
        stored=SchemaChange.objects.filter(version=new) if right == left + 1 else (), may_capture=request.user.has_perm(CAPTURE),
    )  # fmt: skip


@viewing
def export(request: HttpRequest, epoch: int, form: str) -> HttpResponse:
    """A version as SQL that rebuilds it, or as JSON."""
    version = _version(epoch)
    text, kind = _written(epoch, form)
    answer = HttpResponse(text, content_type=kind)
    name = slugify(f"schema-{epoch}-{version.taken_at:%Y-%m-%d}")
    answer["Content-Disposition"] = f'attachment; filename="{name}.{form}"'
    return answer


def _written(epoch: int, form: str) -> tuple[str | bytes, str]:
    if form not in ("sql", "json"):
        raise NotFound("A version can be had as sql or json.")
    if form == "sql":
        return as_sql(epoch), "application/sql; charset=utf-8"
    return as_json(epoch), "application/json"


def _epoch(text: str | None, default: int) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 18 else default


def _version(epoch: int) -> SchemaVersion:
    found = light().filter(epoch=epoch).first()
    if found is None:
        raise NotFound(f"There is no schema version {epoch}.")
    return found
