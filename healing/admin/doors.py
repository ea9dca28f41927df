"""How pages act: only by POST, only with the permission, and a refusal is a message, not a crash."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

import msgspec
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.utils.http import url_has_allowed_host_and_scheme
from unfold.admin import ModelAdmin

from healing.gateway.seal import SealError
from healing.proof import Pack, as_json
from healing.refusals import NotAllowed, Refused


class ReadOnlyAdmin(ModelAdmin):  # type: ignore[misc]
    """Rows that only functions of the model layer change: the forms show, they never save."""

    actions = None
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nothing is added by hand."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing is edited by hand."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing is removed by hand."""
        return False

    def require_view(self, request: HttpRequest) -> None:
        """For pages of our own: 403 without the view permission."""
        if not self.has_view_permission(request):
            raise PermissionDenied


def row_or_404(rows: Any, object_id: str) -> Any:
    """The row of that id; 404 also for text that is no id."""
    try:
        return get_object_or_404(rows, pk=UUID(object_id))
    except ValueError:
        raise Http404 from None


def door(request: HttpRequest, permission: str, act: Callable[[], str], back: str) -> HttpResponse:
    """Runs ``act`` (which returns what to tell the person) and goes back; 405 for a GET, 403 without the permission."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if not request.user.has_perm(permission):
        raise PermissionDenied
    try:
        messages.success(request, act())
    except NotAllowed as error:
        raise PermissionDenied(error.message) from error
    except Refused as error:
        messages.error(request, f"{error.message} {error.hint or ''}".strip())
    return HttpResponseRedirect(_safe(request, back))


def download(lines: Iterable[str | bytes], name: str, kind: str) -> StreamingHttpResponse:
    """A file to keep, sent as it is made."""
    return StreamingHttpResponse(lines, content_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def closed(request: HttpRequest, page: ModelAdmin, title: str, error: SealError) -> HttpResponse:
    """Instead of a page whose values cannot be opened: why, and what may still be done."""
    context = {**page.admin_site.each_context(request), "title": title, "opts": page.opts, "why": str(error)}
    return TemplateResponse(request, "admin/healing/closed.html", context, status=409)


def pack_file(make: Callable[[], Pack], name: str) -> HttpResponseBase:
    """A proof pack as JSON; 409 with the reason where the fix does not fit the live schema."""
    try:
        whole = msgspec.json.format(msgspec.json.encode(as_json(make())))
    except Refused as error:
        return HttpResponse(f"{error.message} {error.hint or ''}", status=409, content_type="text/plain; charset=utf-8")
    return download([whole], name, "application/json")


def _safe(request: HttpRequest, back: str) -> str:
    """Where the form says to go on, if it is on this site."""
    wanted = request.POST.get("next", "")
    return wanted if url_has_allowed_host_and_scheme(wanted, allowed_hosts=None) else back
