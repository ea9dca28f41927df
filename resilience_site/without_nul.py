"""No NUL comes to a page with its address or a form: Postgres keeps none, so whatever looked something up by it would fail."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest
from django.utils.decorators import sync_and_async_middleware

_FORM = "application/x-www-form-urlencoded"


@sync_and_async_middleware
def without_nul(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Leaves it out of a page's address, where it means nothing (the API refuses it by itself, 422); a form with one is refused
    (400): what is stored is never another text."""

    async def answer(request: HttpRequest) -> Any:
        _look(request)
        response: Awaitable[Any] = get_response(request)
        return await response

    def answer_in_thread(request: HttpRequest) -> Any:
        _look(request)
        return get_response(request)

    return answer if iscoroutinefunction(get_response) else answer_in_thread


def _look(request: HttpRequest) -> None:
    if request.path.startswith("/api/"):
        return  # it says 422 itself
    query = request.META.get("QUERY_STRING", "")
    if "%00" in query or "\0" in query:
        request.META["QUERY_STRING"] = query.replace("%00", "").replace("\0", "")
    if request.content_type == _FORM and any("\0" in value for _, values in request.POST.lists() for value in values):
        raise SuspiciousOperation("A form holds a NUL character, which Postgres cannot store.")
