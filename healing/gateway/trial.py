"""A kept write, tried with a fix and taken back: the replay's own path, as the original caller, up to the commit that never comes.

What a rolled-back transaction leaves behind all the same: numbers that sequences gave away. Locks are held for seconds at most. What
could reach out of the transaction (``reaches_out``) is not tried at all.
"""

from __future__ import annotations

from msgspec import Struct

from healing.core.drive import adrive
from healing.core.heal import Answer as CoreAnswer
from healing.core.heal import Kept, Landed, Refused, heal
from healing.core.types import Failure, Healing, Misfit, Statement
from healing.gateway.assisted import Assisted
from healing.gateway.attempt import Attempt, statement_of
from healing.gateway.batch import Batch
from healing.gateway.errors import DialectError
from healing.gateway.replay import Opened, is_late
from healing.gateway.request_prelude import prelude_of
from healing.gateway.services import Services
from healing.gateway.target import DatabaseError, Transaction
from healing.gateway.write import payload_of
from schema_monitor.core.snapshot import Relation

_PATIENCE = "SET LOCAL lock_timeout='2s';SET LOCAL statement_timeout='10s';"
_OUTSIDE = """
SELECT array_agg(name ORDER BY name) FROM (
    SELECT extname::text AS name FROM pg_extension
    WHERE extname = ANY('{dblink,http,pg_curl,pg_background,amqp,aws_lambda,aws_s3,azure_storage,wrappers}')
    UNION SELECT fdwname::text FROM pg_foreign_data_wrapper
    UNION SELECT lanname::text FROM pg_language WHERE NOT lanpltrusted AND lanname NOT IN ('internal', 'c')
) found"""


class Tried(Struct, frozen=True):
    """What a trial came to. ``clean``: it landed, with the fix, read back equal, and Postgres changed no value. ``why`` otherwise."""

    statement: Statement
    relation: Relation | None
    misfits: tuple[Misfit, ...] = ()
    landed: bool = False
    clean: bool = False
    why: str = ""


class Trial(Attempt):
    """An attempt whose commit is a rollback."""

    has_its_own_transaction = False

    async def _begin(self) -> Transaction:
        prelude = prelude_of(self.caller, self.request, self.headers)
        return await Transaction.begin(self.services.pool, f"BEGIN;{_PATIENCE}{prelude.text}")

    async def _commit(self, landed: Landed) -> CoreAnswer:
        """Deferred constraints speak now; then all of it is taken back."""
        assert self._transaction is not None and not isinstance(self._transaction, Batch)
        transaction, self._transaction = self._transaction, None
        try:
            await transaction.execute("SET CONSTRAINTS ALL IMMEDIATE")
        except DatabaseError as error:
            return error.failure
        await transaction.rollback()
        return None


async def try_item(services: Services, opened: Opened, assisted: Assisted | None) -> Tried:
    """Tries a kept write with a fix (None: without one, to see what does not fit). Raises what the connection raises."""
    trial = _trial(services, opened, assisted)
    if await is_late(services, opened):
        return Tried(trial.statement, trial.relation, why="a newer write touched the same row")
    try:
        result = await adrive(heal(trial.statement, trial.context()), trial.perform)
    except DialectError as error:
        return Tried(trial.statement, trial.relation, why=f"{error.code}")
    finally:
        await trial.undo()
    match result:
        case Landed():
            return _landed(trial, result)
        case Kept(failure, misfits):
            return Tried(trial.statement, trial.relation, misfits, why=_said(failure))
        case Refused(failure):
            return Tried(trial.statement, trial.relation, why=_said(failure))


def _trial(services: Services, opened: Opened, assisted: Assisted | None) -> Trial:
    request, envelope = opened.request, opened.envelope
    policy = services.state.policy(request.schema, request.name, opened.caller.key)
    payload = payload_of(services, request, envelope)
    statement = statement_of(request, payload)
    return Trial(
        services,
        request,
        opened.caller,
        payload,
        statement,
        Healing.ASSISTED,
        policy.strict,
        None,
        envelope.headers,
        False,
        "replayed",
        assisted,
    )


def _landed(trial: Trial, landed: Landed) -> Tried:
    used = trial.assisted is not None and any(each.rule == trial.assisted.rule.id for each in landed.applied)
    doubts = [] if used else ["it landed without this fix"]
    doubts += [] if landed.verified else ["the caller may not read back what it wrote"]
    doubts += [f"Postgres would store `{change.column}` differently" for change in landed.changes]
    return Tried(trial.statement, trial.relation, landed=True, clean=not doubts, why="; ".join(doubts))


def _said(failure: Failure) -> str:
    """The code alone: a message may quote a value."""
    return f"the database said {failure.code}"


async def reaches_out(services: Services, relation: Relation) -> str:
    """Why a trial on this relation might not be undone by a rollback; '' where it is: what it sets off can only do what a transaction
    undoes, unless the database holds means to act outside of one. That it has no trigger says little: a default, a check, a policy, a
    rule, a partition, or a table that a foreign key cascades to may call the same functions."""
    if relation.kind not in ("r", "p"):
        return f"{relation.name} is no table: what a write to it does is not known"
    async with services.pool.connection() as connection:
        found = await connection.fetchval(_OUTSIDE)
    return f"with {', '.join(found)} a write to {relation.name} could act outside the transaction" if found else ""
