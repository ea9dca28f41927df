"""The tables as they are now: the list, and one with its columns, their pasts and who sends what."""

from __future__ import annotations

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode

from healing.admin.schema_pages import page, viewing
from healing.refusals import NotFound
from healing.schema_facts import tables as facts
from healing.schema_facts.compare import KINDS, rights_of
from healing.schema_facts.versions import newest
from healing.timeline.collect import renames
from healing.timeline.links import families

ROWS = 100


@viewing
def tables(request: HttpRequest) -> HttpResponse:
    """Every served table, the busiest first."""
    words = request.GET.get("q", "").strip()
    found = newest()
    rows = facts.rows(found[1], words) if found else []
    shown = Paginator(rows, ROWS).get_page(request.GET.get("page"))
    return page(request, "tables", "Tables", rows=shown, words=words, epoch=found[0] if found else None, kinds=KINDS)


@viewing
def table(request: HttpRequest, oid: int) -> HttpResponse:
    """One table."""
    found = newest()
    relation = found[1].relations.get(oid) if found else None
    if found is None or relation is None:
        raise NotFound("There is no such table in the newest version.")
    epoch, snapshot, lineage = found
    return page(
        request, "table", f"{relation.schema}.{relation.name}", relation=relation, kind=KINDS.get(relation.kind, "relation"), epoch=epoch,
        facts=facts.facts(relation, snapshot, lineage), grants=rights_of(relation),
        may_see_writes=request.user.has_perm("healing.view_quarantineitem"),
    )  # fmt: skip


@viewing
def named(request: HttpRequest) -> HttpResponse:
    """``?name=schema.table``: the page of whatever has or had that name; else its story on the timeline."""
    name, found = request.GET.get("name", ""), newest()
    schema, _, bare = name.partition(".")
    family = families(renames())
    for place in ((schema, bare), family.get((schema, bare), (schema, bare))):
        for relation in found[1].named(*place) if found else ():
            return HttpResponseRedirect(reverse("admin:schema_table", args=[relation.oid]))
    return HttpResponseRedirect(reverse("admin:schema_timeline") + "?" + urlencode({"last": "90d", "table": name}))
