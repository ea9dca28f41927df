"""What an address without a page says: a program gets the four keys and where to look, a browser a page with the way back."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.defaults import page_not_found

HINT = "Tables are under /rest/v1/, the API's documents at /api/v1/docs, the dashboard at /admin/."


def nowhere(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A 404. Only who asks for HTML by name gets HTML."""
    if "text/html" in request.headers.get("Accept", ""):
        return page_not_found(request, exception)
    message = f"There is nothing at {request.path[:200]}"
    return JsonResponse({"code": "MG404", "message": message, "details": None, "hint": HINT}, status=404)
