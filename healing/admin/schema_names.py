"""Old names: which are still followed, who still uses them, and their end."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from healing.admin.schema_pages import page, viewing
from healing.permits import RETIRE_NAME


@viewing
def names(request: HttpRequest) -> HttpResponse:
    """Every former name that lives on."""
    return page(request, "names", "Old names", aliases=[], may_retire=request.user.has_perm(RETIRE_NAME))
