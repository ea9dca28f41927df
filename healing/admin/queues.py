"""django-rq's pages: who may look at the system looks, who has ``django_rq.admin`` acts. By themselves they let any staff member empty a
queue or run a job again, and fail where Redis is away."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, reverse
from django_rq.admin import QueueAdmin
from django_rq.models import Dashboard
from redis.exceptions import RedisError

MAY_ACT = "django_rq.admin"
MAY_LOOK = "metrics.view_trigger"
ACTS = frozenset({
    "delete_failed_jobs", "clear", "requeue_all", "delete_job", "requeue_job", "enqueue_job", "stop_job", "confirm_action", "actions",
})  # fmt: skip
"""Pages that do something, or ask whether they shall."""


def may_look(request: HttpRequest) -> bool:
    """Whoever may act may look, too."""
    return request.user.has_perm(MAY_LOOK) or request.user.has_perm(MAY_ACT)


class GuardedQueueAdmin(QueueAdmin):
    """In the menu for whoever may look."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Whether the menu shows it."""
        return may_look(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As above."""
        return may_look(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing is edited."""
        return request.user.has_perm(MAY_ACT)

    def get_urls(self) -> list[URLPattern]:
        """django-rq's, each behind the guard."""
        return guarded(super().get_urls())  # type: ignore[no-untyped-call]


def guarded(patterns: list[URLPattern]) -> list[URLPattern]:
    """The same patterns, answering 403 to whoever lacks the permission."""
    for pattern in patterns:
        name = (pattern.name or "").removeprefix("django_rq_")
        pattern.callback = _guard(pattern.callback, name in ACTS)
    return patterns


def _guard(view: Callable[..., HttpResponse], acts: bool) -> Callable[..., HttpResponse]:
    @wraps(view)
    def behind(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path(), reverse("admin:login"))
        only_looks = request.method in ("GET", "HEAD") and not acts
        if not (may_look(request) if only_looks else request.user.has_perm(MAY_ACT)):
            raise PermissionDenied
        request.current_app = admin.site.name  # so that its links stay inside the admin
        try:
            return view(request, *args, **kwargs)
        except (ValueError, IndexError, ImproperlyConfigured) as error:  # an id that cannot be one, a part that is not installed
            raise Http404 from error
        except (RedisError, OSError):
            return render(request, "admin/healing/queues_away.html", {**admin.site.each_context(request), "title": "Queues"}, status=503)

    return behind


if admin.site.is_registered(Dashboard):
    admin.site.unregister(Dashboard)
admin.site.register(Dashboard, GuardedQueueAdmin)
