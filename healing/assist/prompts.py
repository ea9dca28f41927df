"""Prompt versions: written, compared, made active. A version never changes; what a model is told is a decision, and audited."""

from __future__ import annotations

import difflib
from typing import Any

import msgspec
from django.db import connection, transaction
from django.utils import timezone

from healing import audit, permits
from healing.assist.models import Prompt
from healing.core.tuned import Trial, picked
from healing.models import Decision
from healing.refusals import DoesNotFit, WrongState

NAME = "fix"
MOST_CHARACTERS = 20_000
MOST_TOKENS = 4_000
_TRIED = "SELECT trial::text FROM optimizer_setting WHERE name = 'prompt' AND place = '' AND trial IS NOT NULL"


@transaction.atomic
def write(system: str, task: str, user: Any, why: str, *, temperature: float = 0.0, max_tokens: int = 300) -> Prompt:
    """A new version, not active yet. ``DoesNotFit`` where it could not be used."""
    permits.require(user, permits.CHANGE_PROMPT)
    why = permits.require_reason(why)
    system, task = system.replace("\r\n", "\n").strip(), task.replace("\r\n", "\n").strip()
    if not system or not task or len(system) + len(task) > MOST_CHARACTERS:
        raise DoesNotFit(f"Both parts need a text, together at most {MOST_CHARACTERS} characters.")
    if task.count("{facts}") != 1:
        raise DoesNotFit("The task must say once where the facts go: {facts}")
    if not 0 <= temperature <= 2 or not 1 <= max_tokens <= MOST_TOKENS:
        raise DoesNotFit(f"Temperature is 0 to 2, tokens are 1 to {MOST_TOKENS}.")
    last = Prompt.objects.select_for_update().filter(name=NAME).order_by("-version").first()
    written = Prompt.objects.create(
        name=NAME, version=last.version + 1 if last else 1, system=system, task=task, temperature=temperature, max_tokens=max_tokens,
        author=user.username, why=why,
    )  # fmt: skip
    audit.record(user.username, "write", "prompt", written.pk, why=f"{written}: {why}")
    return written


@transaction.atomic
def activate(prompt: Prompt, user: Any, why: str) -> None:
    """This version is used from the next question on; the one before stays, and can be made active again."""
    permits.require(user, permits.CHANGE_PROMPT)
    why = permits.require_reason(why)
    versions = list(Prompt.objects.select_for_update().filter(name=prompt.name).order_by("pk"))
    chosen = next(p for p in versions if p.pk == prompt.pk)
    if chosen.active:
        raise WrongState(f"{chosen} is active already.")
    before = next((p for p in versions if p.active), None)
    Prompt.objects.filter(name=prompt.name, active=True).update(active=False)
    Prompt.objects.filter(pk=chosen.pk).update(active=True)
    audit.record(user.username, "activate", "prompt", chosen.pk, why=f"{chosen} instead of {before or 'none'}: {why}")


def for_cause(cause: str) -> Prompt | None:
    """The version that this cause is asked with: the active one, or one that is tried on a part of the causes (always the same part)."""
    with connection.cursor() as cursor:
        cursor.execute(_TRIED)
        row = cursor.fetchone()
    trial = msgspec.json.decode(row[0], type=Trial) if row else None
    if trial is not None and timezone.now().timestamp() < trial.until and picked(trial.seed, cause, trial.share):
        tried = Prompt.objects.filter(pk=int(trial.value)).first()
        if tried is not None:
            return tried
    return Prompt.objects.filter(active=True).first()


def diff(before: Prompt, after: Prompt) -> list[tuple[str, str]]:
    """Lines of both versions as (``same`` | ``gone`` | ``new``, text)."""
    words = {" ": "same", "-": "gone", "+": "new"}
    lines = difflib.ndiff(_lines(before), _lines(after))
    return [(words[line[0]], line[2:]) for line in lines if line[0] in words]


def decisions(prompt: Prompt) -> Any:
    """What was decided about a version."""
    return Decision.objects.filter(kind="prompt", subject=str(prompt.pk))


def _lines(prompt: Prompt) -> list[str]:
    settings = f"temperature {prompt.temperature:g}, at most {prompt.max_tokens} tokens"
    return [*prompt.system.splitlines(), "—", *prompt.task.splitlines(), "—", settings]
