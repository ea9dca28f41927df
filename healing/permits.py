"""Who may do what. Decisions are made by people: an active user with the permission, never an API key."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractBaseUser

from healing.refusals import NeedsReason, NotAllowed, NotFound

DECIDE = "healing.change_proposal"
CHANGE_RULE = "healing.change_rule"
REPLAY = "healing.change_quarantineitem"
CHANGE_KEY = "healing.change_apikey"
CHANGE_REVIEW = "healing.change_reviewrules"
CHANGE_POLICY = "healing.change_policy"
MIGRATE = "healing.change_schemafix"
TAKE_BACK_AS_SERVICE = "healing.take_back_as_service"
CHANGE_PROMPT = "healing.change_prompt"
CAPTURE = "schema_monitor.add_schemaversion"
MARK_CHANGE = "schema_monitor.add_seenchange"
RETIRE_NAME = "schema_monitor.add_retiredname"
INSTALL_MONITOR = "schema_monitor.change_monitorstate"


def require(user: Any, permission: str) -> Any:
    """The user itself if it may, else ``NotAllowed``. Anything that is no user (a key, None) may nothing."""
    if not isinstance(user, AbstractBaseUser) or not user.is_active or not user.has_perm(permission):  # type: ignore[attr-defined]
        raise NotAllowed(f"{getattr(user, 'username', 'The caller')} may not do this ({permission}).")
    return user


def require_reason(why: str) -> str:
    """The trimmed reason, else ``NeedsReason``."""
    if not why.strip():
        raise NeedsReason("A reason is required.")
    return why.strip()


def person(name: str) -> Any:
    """The user of that name, for commands."""
    user = get_user_model().objects.filter(username=name).first()
    if user is None:
        raise NotFound(f"There is no user {name!r}.", "Create one in the dashboard, or with: python manage.py createsuperuser")
    return user
