"""How a write is healed, as one generator: it decides, a driver does. See ``drive`` for the two drivers.

Yields                          receives
``Run(statement, back)``        ``Landing`` (executed, **not yet committed**) or ``Failure`` (rolled back)
``Reread()``                    a fresh ``Context`` after re-reading the relation's catalog entry; ``Failure`` where it cannot be read
``Pause(attempt)``              None, after a wait with jitter
``Undo()``                      None, after rolling the open transaction back
``Commit(landed)``              None when committed together with its receipt, else ``Failure`` (deferred constraints …)

Returns ``Landed`` (committed), ``Kept`` (quarantine) or ``Refused`` (no effect).

Steps: mend what is exact or approved -> run -> on a database error: retry, re-read, or answer it by a rule -> read back and
compare what was healed -> land; else keep.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from healing.core import classify, fixes, phrases, verify
from healing.core.mend import Applied, Context, Mended, mend, untouched
from healing.core.types import Change, Failure, Healing, Kind, Misfit, Operation, Row, Statement

_IN_BAND = frozenset({"42703", "42P01", "42804", "22P02", "23502", "42P10", "428C9"})
"""Errors that a stale catalog explains: the relation is read again before they are believed."""
STALE = Failure("MG503", "A column was renamed while the write was under way.", None, "Send it again.")
"""``Run`` says so where a name in the statement turned out to mean another column; nothing was written."""
_MOST_ROUNDS = 10
_MOST_REREADS = 5
_MOST_RETRIES = 3


class Run(Struct, frozen=True):
    """Execute in a transaction and leave it open. ``back`` = live columns to read back; empty = none. ``asked`` maps live
    column names to the names the caller used for them."""

    statement: Statement
    back: tuple[str, ...] = ()
    asked: Mapping[str, str] = {}


class Reread(Struct, frozen=True):
    """Read the relation's catalog entry again (it may have changed) and hand in a fresh context."""


class Pause(Struct, frozen=True):
    """Wait before attempt number ``attempt`` (1, 2, …), with jitter."""

    attempt: int


class Undo(Struct, frozen=True):
    """Roll back what ``Run`` left open."""


class Landing(Struct, frozen=True):
    """The statement went through: rows affected, and what was read back (statement order), where it was asked."""

    affected: int
    back: tuple[Row, ...] | None = None


class Landed(Struct, frozen=True):
    """Commit. ``verified`` is False only where the caller's role may write but not read the row."""

    statement: Statement
    applied: tuple[Applied, ...] = ()
    changes: tuple[Change, ...] = ()
    stored: tuple[Row, ...] | None = None
    verified: bool = True


class Kept(Struct, frozen=True):
    """Cannot be healed now: quarantine it. ``statement`` is the one as sent."""

    failure: Failure
    misfits: tuple[Misfit, ...]


class Refused(Struct, frozen=True):
    """Not ours to heal: the caller gets the error and nothing was written. ``unavailable``: worth keeping under ``accept``."""

    failure: Failure
    unavailable: bool = False


class Commit(Struct, frozen=True):
    """Write the receipt where one is due, and commit."""

    landed: Landed


Step = Run | Reread | Pause | Undo | Commit
Answer = Landing | Failure | Context | None
Result = Landed | Kept | Refused
Flow = Generator[Step, Answer, Result]
_Part = Generator[Step, Answer, Result | None]


def heal(statement: Statement, context: Context, failure: Failure | None = None) -> Flow:
    """Heals one write. ``failure`` is what the database said to it as it was sent, where it was already tried."""
    state = _State(context)
    pending = failure
    for _ in range(_MOST_ROUNDS):
        mended = _mend(statement, state)
        if pending is None:
            if (early := _settled_before_sending(mended, state)) is not None:
                if not isinstance(early, Reread):
                    return early
                if (unread := (yield from _reread(state))) is not None:
                    return unread
                continue
            answer = yield Run(mended.statement, _back(mended, state), _asked(mended))
            if isinstance(answer, Landing):
                landed = yield from _landed(mended, answer, state)
                answer = (yield Commit(landed)) if isinstance(landed, Landed) else None
                if answer is None:
                    return landed
            assert isinstance(answer, Failure)
            pending = answer
        verdict = yield from _after(pending, statement, mended, state)
        if verdict is not None:
            return verdict
        pending = None
    return Refused(Failure("MG503", "The write kept failing in changing ways.", hint="Try again."), unavailable=True)


class _State(Struct):
    context: Context
    known: tuple[Misfit, ...] = ()
    rereads: int = 0
    believed: bool = False
    """the catalog was read again and is as it was known (or it keeps changing, and somebody has to be answered)."""
    retries: int = 0
    blind: bool = False
    """the caller may not read back."""


def _mend(statement: Statement, state: _State) -> Mended:
    if state.context.level is Healing.OFF:
        return untouched(statement, state.context)
    return mend(statement, state.context, state.known)


def _back(mended: Mended, state: _State) -> tuple[str, ...]:
    if not (mended.applied or state.context.moved) or state.blind or mended.statement.operation is Operation.DELETE:
        return ()
    return tuple(dict.fromkeys(key for row in mended.expected for key in row))


def _asked(mended: Mended) -> dict[str, str]:
    return {a.fix.target: a.fix.source for a in mended.applied if isinstance(a.fix, fixes.RenameColumn)}


_BLOCKING = (Kind.UNKNOWN_COLUMN, Kind.UNKNOWN_TABLE, Kind.REUSED_NAME)


def _settled_before_sending(mended: Mended, state: _State) -> Result | Reread | None:
    """A misfit in a name cannot be sent at all; other misfits are the database's to judge, in its own words."""
    blocking = [m for m in mended.misfits if m.kind in _BLOCKING]
    if blocking and not state.believed:
        return Reread()
    if blocking:
        return Kept(_name_error(blocking[0], mended.statement), mended.misfits)
    if mended.changes and state.context.strict:
        return Refused(_strict_error(mended.changes))
    return None


def _after(failure: Failure, statement: Statement, mended: Mended, state: _State) -> _Part:
    """What a database error leads to; None = go round again."""
    action = classify.Action.RETRY if failure == STALE else classify.action(failure.code, failure.message)
    if failure == STALE and not state.believed:
        return (yield from _reread(state))
    if state.context.level is Healing.OFF and failure != STALE:
        return Refused(failure)
    if failure.code == "42501" and (mended.applied or state.context.moved) and not state.blind:
        state.blind = True
        return None
    if (action is classify.Action.REREAD or failure.code in _IN_BAND) and not state.believed:
        known = state.context.snapshot
        if (unread := (yield from _reread(state))) is not None:
            return unread
        if action is classify.Action.REREAD or state.context.snapshot is not known:
            return None
    match action:
        case classify.Action.RETRY | classify.Action.BOUNDED | classify.Action.UNAVAILABLE if state.retries < _MOST_RETRIES:
            state.retries += 1
            yield Pause(state.retries)
            return None
        case classify.Action.RETRY | classify.Action.UNAVAILABLE | classify.Action.AWAY:
            return Refused(failure, unavailable=True)
        case classify.Action.REFUSE | classify.Action.PASS:
            return Refused(failure)
    return _reported(failure, statement, mended, state)


def _reported(failure: Failure, statement: Statement, mended: Mended, state: _State) -> Result | None:
    """The database reported a misfit: a rule may answer it (then another round), else the write is kept."""
    found = classify.misfit(failure, mended.statement, state.context.relation)
    misfit = found or Misfit(Kind.OTHER, "", None, failure.code)
    asked = _as_sent(misfit, mended)
    if asked.signature not in {m.signature for m in state.known}:
        trial = mend(statement, state.context, (*state.known, asked)) if state.context.relation else None
        if trial is not None and asked.signature not in {m.signature for m in trial.misfits}:
            state.known = (*state.known, asked)
            return None
    others = tuple(m for m in mended.misfits if m.signature != asked.signature)
    return Kept(failure, (asked, *others))


def _as_sent(misfit: Misfit, mended: Mended) -> Misfit:
    """A value's misfit is named by the live column: rules and signatures speak of the schema, not of old names."""
    return replace(misfit, rows=misfit.rows if len(mended.statement.rows) > 1 else ())


def _reread(state: _State) -> _Part:
    """A catalog that turns out to have changed may change again while the write is under way (two renames in a row). One that cannot be
    read now confirms nothing: whoever sent the write is told to send it again, and not that it does not fit."""
    answer = yield Reread()
    if isinstance(answer, Failure):
        return Refused(answer, unavailable=True)
    assert isinstance(answer, Context)
    state.rereads += 1
    state.believed = answer.snapshot is state.context.snapshot or state.rereads >= _MOST_REREADS
    state.context = answer
    return None


def _landed(mended: Mended, landing: Landing, state: _State) -> Flow:
    """Compares what was stored with what was meant; a healed column that differs undoes everything."""
    if not (mended.applied or state.context.moved):
        return Landed(mended.statement, (), mended.changes, landing.back)
    if landing.back is None and mended.computed:
        yield Undo()
        return Kept(_blind_error(), (Misfit(Kind.GENERATED, next(iter(mended.computed[0]), "")),))
    if landing.back is None:
        return Landed(mended.statement, mended.applied, mended.changes, None, verified=False)
    computed = frozenset(key for row in mended.computed for key in row)
    touched = computed.union(*(fixes.touches(applied.fix) for applied in mended.applied))
    different, others = _compare(mended, landing.back, touched, state)
    if different and different[0].column in computed:
        yield Undo()
        return Kept(_computed_error(different[0]), (Misfit(Kind.GENERATED, different[0].column),))
    if different:
        yield Undo()
        return Kept(_verify_error(different[0]), (Misfit(Kind.VERIFY, different[0].column),))
    changes = tuple(dict.fromkeys((*mended.changes, *others)))
    return Landed(mended.statement, mended.applied, changes, landing.back)


def _compare(mended: Mended, back: tuple[Row, ...], touched: frozenset[str], state: _State) -> tuple[list[Change], list[Change]]:
    relation = state.context.relation
    assert relation is not None
    meant = mended.expected
    if mended.statement.operation is Operation.UPDATE:
        pairs = [(meant[0], stored) for stored in back]
    elif len(back) == len(meant):
        pairs = list(zip(meant, back, strict=True))
    elif mended.statement.operation is Operation.UPSERT:
        pairs = []  # ignored duplicates were not stored: nothing of theirs to compare
    else:
        return [Change("", f"{len(meant)} rows", f"{len(back)} rows", "a trigger kept rows back")], []
    announced = {(c.column) for c in mended.changes}
    found = [c for m, s in pairs for c in verify.compare(m, s, relation, touched) if c.column not in announced]
    return [c for c in found if c.column in touched], [c for c in found if c.column not in touched]


def _name_error(misfit: Misfit, statement: Statement) -> Failure:
    if misfit.kind is Kind.UNKNOWN_TABLE:
        text = f"Could not find the table '{statement.schema}.{statement.table}' in the schema cache"
        return Failure("PGRST205", text, hint=_retired_hint(misfit))
    if misfit.kind is Kind.REUSED_NAME:
        text = f"The name '{misfit.column}' of '{statement.table}' meant another column before; it could mean: {misfit.expected}"
        return Failure("MG001", text, hint="Use today's names, or let a person decide which column is meant.")
    text = f"Could not find the '{misfit.column}' column of '{statement.table}' in the schema cache"
    return Failure("PGRST204", text, hint=_retired_hint(misfit))


def _retired_hint(misfit: Misfit) -> str | None:
    """What the thing is called now, where the name that was sent is retired."""
    return phrases.retired(misfit.column, misfit.expected) if misfit.expected else None


def _strict_error(changes: tuple[Change, ...]) -> Failure:
    lost = changes[0]
    return Failure(
        "MG002",
        f"Postgres would store '{lost.column}' as {lost.stored} instead of {lost.sent}",
        lost.why or None,
        "Policy strict refuses this. Send the value as it can be stored, or change the column's type.",
    )


def _blind_error() -> Failure:
    text = "A generated column was sent, and the caller may not read it back to compare"
    return Failure("428C9", text, None, "Leave generated columns out of the payload.")


def _computed_error(change: Change) -> Failure:
    text = f"Column '{change.column}' is generated; it was sent as {change.sent} and would be {change.stored}"
    return Failure("428C9", text, None, "Leave generated columns out of the payload.")


def _verify_error(change: Change) -> Failure:
    text = f"What was stored in '{change.column}' is not what was meant; nothing was written"
    return Failure("MG003", text, change.why or None, "A trigger may change this column. The write waits for a person.")
