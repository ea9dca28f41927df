"""Base of commands that decide: a refusal is said with its way out, not as a traceback."""

from __future__ import annotations

from typing import Any, TypeVar
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Model

from healing.refusals import Refused

M = TypeVar("M", bound=Model)


class RefusingCommand(BaseCommand):
    """Runs ``act``; ``Refused`` becomes an exit code 1 with message and hint."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Act, or say why not."""
        try:
            self.act(**options)
        except Refused as error:
            raise CommandError(f"{error.message} {error.hint or ''}".strip()) from error

    def act(self, **options: Any) -> None:
        """What the command does."""
        raise NotImplementedError


def found(model: type[M], pk: UUID) -> M:
    """The row of that id."""
    row = model._default_manager.filter(pk=pk).first()
    if row is None:
        raise CommandError(f"There is no {model._meta.verbose_name} {pk}.")
    return row
