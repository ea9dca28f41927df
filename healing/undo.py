"""Takes writes back: deletes the rows they inserted, or restores the image from before an update, as the given caller.

1. the undo is marked in the target, in the transaction that does it: two undos make one
2. the rows must still be exactly what the write stored (``undo_plan``); a newer write is never lost
3. delete or restore under the caller's role and claims: RLS and grants hold
4. the same transaction writes a receipt of its own for every row that changes
5. the receipt of the write says ``undone`` here; where we die before that, the mark tells the next look
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from django.db import transaction

from healing.core.types import Operation, Statement
from healing.gateway import receipts
from healing.gateway.auth import Caller
from healing.models import Receipt
from healing.receipt_copies import note_undone, store
from healing.receipts_view import landed
from healing.refusals import NotAllowed, Refused
from healing.target import target_connection
from healing.undo_names import CannotUndo
from healing.undo_plan import Step, counted, steps_of, writers_before

__all__ = ["UNDOABLE", "CannotUndo", "takes_back", "undo", "undo_together"]

UNDOABLE = ("committed", "replayed")
UNDO_OF = "undo of "
"""How the receipt of a row that was taken back names the receipt of the write."""
_FOLLOWED = """
SELECT coalesce(sum(pg_stat_get_xact_tuples_deleted(c.oid) + pg_stat_get_xact_tuples_updated(c.oid)), 0),
    coalesce(bool_or(c.oid = %(oid)s), false)
FROM (
    SELECT DISTINCT conrelid AS oid FROM pg_constraint
    WHERE contype = 'f' AND confrelid = %(oid)s AND confdeltype IN ('c', 'n', 'd')
) AS c"""
_MARK = "INSERT INTO mendgate.undone(receipt) VALUES (%s) ON CONFLICT DO NOTHING"


def undo(receipt: Receipt, caller: Caller, sender: str = "") -> None:
    """Undoes the write of a receipt; doing it twice changes nothing. ``sender``: the caller who asked, where it was no
    person. ``CannotUndo`` says why not."""
    final = landed(receipt)
    if final.outcome == "undone":
        return
    undo_together([final], caller, sender)
    Receipt.objects.filter(pk=receipt.pk).update(outcome="undone")


def undo_together(finals: Sequence[Receipt], caller: Caller, sender: str = "") -> int:
    """Undoes writes of one transaction, all or none of them; returns how many rows were taken back. Rows that only their transaction tells
    (they have no key in the receipt) are told apart from each other no further: so writes that share one are best undone together."""
    for final in finals:
        _require_undoable(final)
    plans = [(final, steps_of(final)) for final in finals]
    taken = 0
    with target_connection() as target, _database_words(), target.transaction():
        due = [(final, steps) for final, steps in plans if target.execute(_MARK, [final.pk]).rowcount]
        target.execute(_receipts_of(due, caller).encode())
        target.execute(caller.prelude.text.encode())
        for step, times in counted(step for _, steps in due for step in steps):
            _take(target, step, times, caller)
            taken += times
    for final in finals:
        _note(final, sender)
    return taken


def takes_back(receipt: Receipt) -> str:
    """The write that this receipt of an undo is about; '' for any other receipt."""
    first = next(iter(receipt.changes), None)
    why = str(first.get("why") or "") if isinstance(first, dict) else ""
    return why.removeprefix(UNDO_OF) if receipt.outcome == "undone" and why.startswith(UNDO_OF) else ""


def _require_undoable(final: Receipt) -> None:
    if final.outcome not in UNDOABLE:
        raise CannotUndo(f"Nothing was stored: the outcome is {final.outcome!r}.")
    if not final.writer:
        raise CannotUndo("The target database had no schema mendgate when this was written, so which rows it stored is not known for sure.")


def _receipts_of(due: Sequence[tuple[Receipt, list[Step]]], caller: Caller) -> str:
    """The receipts of the rows that are about to change; '' for none."""
    made = [_told(step, final, caller) for final, steps in due for step in steps]
    return receipts.bundle_sql(receipts.bundle_id(), made[: receipts.MOST]) or "SELECT 1"


def _told(step: Step, final: Receipt, caller: Caller) -> receipts.Receipt:
    """``before`` is the row as it was found, ``stored`` as it is now (nothing, where it was deleted)."""
    operation = Operation.DELETE if step.was is None else Operation.UPDATE
    statement = Statement(operation, step.relation.schema, step.relation.name)
    touched = [c.name for c in step.columns if c.name not in step.relation.primary_key]
    note = [{"column": name, "why": f"{UNDO_OF}{final.pk}"} for name in touched or [""]]
    head = receipts.head_of("undone", statement, step.relation.name, caller, [], told=note)
    values = {"sent": None, "stored": [] if step.was is None else [step.was], "before": [step.now], "changes": []}
    return receipts.Receipt(head, receipts.encode(values))


def _take(target: psycopg.Connection[Any], step: Step, times: int, caller: Caller) -> None:
    before = _gone_with(target, step)
    done = target.execute(step.statement, {"row": step.row, "writer": step.writer}).rowcount
    if done == 0 and step.keyed and (later := _undone_since(target, step, caller)):
        done = target.execute(step.statement, {"row": step.row, "writer": later}).rowcount
    if done != times:
        raise CannotUndo(
            "A row is no longer as it was stored: it was changed or removed since, or you may not see it."
            if done < times
            else "Other writes of the same moment stored rows just like this one; which of them is this one's cannot be told.",
            "Nothing was undone.",
        )
    if _gone_with(target, step, done) != before:
        raise CannotUndo("Rows that refer to this one would be removed or changed with it.", "Take those back, or move them, first.")


def _gone_with(target: psycopg.Connection[Any], step: Step, own: int = 0) -> int:
    """How many rows of tables whose foreign keys follow a deletion this transaction has deleted or changed, but for ``own``: by the
    database's own counters, since the caller may not see them."""
    if step.was is not None:
        return 0
    found = target.execute(_FOLLOWED, {"oid": step.relation.oid}).fetchone()
    assert found is not None
    return int(found[0]) - (own if found[1] else 0)


def _undone_since(target: psycopg.Connection[Any], step: Step, caller: Caller) -> str:
    """The row's last writer, where that was an undo of ours of writes on top of this one: the row is as this one left it. Which undos are
    ours is asked as ourselves; '' for anybody else."""
    found = target.execute(step.looking, {"row": step.row}).fetchone()
    if found is None:
        return ""
    target.execute("RESET ROLE")
    ours = _leads_to(target, str(found[0]), step)
    target.execute(caller.prelude.text.encode())
    return str(found[0]) if ours else ""


def _leads_to(target: psycopg.Connection[Any], writer: str, step: Step) -> bool:
    """Whether the undo ``writer`` took back only what was on top of the step's write, with nobody else's write in between: each write that
    was taken back says who had written the row before it."""
    pending, seen = [writer], {writer}
    while pending:
        found = target.execute("SELECT receipt FROM mendgate.undone WHERE xmin = %s::xid", [pending.pop()]).fetchall()
        before = {each for receipt in Receipt.objects.filter(pk__in=[r[0] for r in found]) for each in writers_before(receipt, step)}
        if step.writer in before:
            return True
        pending += before - seen
        seen |= before
    return False


class _database_words:
    """Turns the database's refusals into ours; the transaction is rolled back by then."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, psycopg.OperationalError) or not isinstance(error, psycopg.Error):
            return
        refusal: type[Refused] = NotAllowed if isinstance(error, psycopg.errors.InsufficientPrivilege) else CannotUndo
        raise refusal(f"The database refused: {error.diag.message_primary or error}") from error


@transaction.atomic
def _note(final: Receipt, sender: str) -> None:
    store([final])  # it may not have been moved here yet
    note_undone(final, sender)
