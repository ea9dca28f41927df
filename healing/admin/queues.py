"""django-rq's pages, for those who may: by themselves they let any staff member empty a queue or run a job again."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, reverse
from django_rq.admin import QueueAdmin
from django_rq.models import Dashboard

MAY_SEE_QUEUES = "django_rq.admin"


class GuardedQueueAdmin(QueueAdmin):
    """Every page needs ``django_rq.admin`` (superusers have it); without it 403."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Whether the menu shows it."""
        return request.user.has_perm(MAY_SEE_QUEUES)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As above."""
        return request.user.has_perm(MAY_SEE_QUEUES)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As above."""
        return request.user.has_perm(MAY_SEE_QUEUES)

    def get_urls(self) -> list[URLPattern]:
        """django-rq's, each behind the guard."""
        return guarded(super().get_urls())  # type: ignore[no-untyped-call]


def guarded(patterns: list[URLPattern]) -> list[URLPattern]:
    """The same patterns, answering 403 to whoever lacks the permission."""
    for pattern in patterns:
        pattern.callback = _guard(pattern.callback)
    return patterns


def _guard(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    @wraps(view)
    def behind(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path(), reverse("admin:login"))
        if not request.user.has_perm(MAY_SEE_QUEUES):
            raise PermissionDenied
        request.current_app = admin.site.name  # so that its links stay inside the admin
        return view(request, *args, **kwargs)

    return behind


if admin.site.is_registered(Dashboard):
    admin.site.unregister(Dashboard)
admin.site.register(Dashboard, GuardedQueueAdmin)
