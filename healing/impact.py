"""The impact check as people and callers ask for it: with the rules that are active, on record, and with refusals that say the way out."""

from __future__ import annotations

from healing.models import Rule
from healing.refusals import Refused
from healing.schema_changed import why_review
from schema_monitor.core.impact import Settled
from schema_monitor.core.snapshot import Snapshot
from schema_monitor.impact import check as checks
from schema_monitor.impact.models import ImpactCheck

CHECK = "schema_monitor.add_impactcheck"
"""The permission of a person."""
_KEPT = 500


class CannotCheck(Refused):
    """No scratch database can be had."""

    code, status = "MG501", 501


class CheckBusy(Refused):
    """One check runs at a time."""

    code, status = "MG503", 503
    hint = "Try again in a few seconds."


class CheckStopped(Refused):
    """The DDL took too long or too much."""

    code, status = "MG422", 422
    hint = "Try fewer statements at once. Data is not needed: the copy has no rows."


def check(ddl: str, by: str) -> checks.Impact:
    """Tries DDL out on a copy of the schema and judges the callers of the last days. ``by`` goes on record. Raises ``Refused``, and
    ``psycopg.OperationalError`` where a database is away."""
    if "\0" in ddl or not _is_text(ddl):
        raise CheckStopped("DDL holds no NUL and no half of a surrogate pair: Postgres takes neither.", "Take that character out.")
    record = ImpactCheck(by=by[:200], ddl=ddl[: checks.LIMITS.most_characters], outcome="failed")
    try:
        rules = list(Rule.objects.filter(state=Rule.State.ACTIVE))
        impact = checks.check(ddl, lambda snapshot: _settled(rules, snapshot))
        record.epoch = impact.epoch
        record.outcome = "refused" if impact.refusal is not None else impact.verdict.value
        return impact
    except checks.Stopped as stopped:
        record.outcome = "stopped"
        raise CheckStopped(str(stopped)) from None
    except checks.TooLarge as error:
        raise CheckStopped(str(error)) from None
    except checks.NoVersion:
        raise CannotCheck("No schema version has been captured yet.", "Run: python manage.py capture_schema") from None
    except checks.Unusable as error:
        raise CannotCheck(str(error), error.fix) from None
    except checks.Busy:
        raise CheckBusy("Another impact check is running.") from None
    finally:
        _keep(record)


def _is_text(ddl: str) -> bool:
    try:
        ddl.encode()
    except UnicodeEncodeError:
        return False
    return True


def _settled(rules: list[Rule], snapshot: Snapshot) -> Settled:
    """What the active rules answer under that schema: without those that would go back to review."""
    return frozenset((rule.schema, rule.table, rule.signature) for rule in rules if not rule.bound or not why_review(rule, snapshot))


def _keep(record: ImpactCheck) -> None:
    record.save()
    ImpactCheck.objects.filter(id__lte=record.pk - _KEPT).delete()
