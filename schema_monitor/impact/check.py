"""The impact check: what a piece of DDL would do to the callers of the last days, before anybody runs it.

The target is only read. The DDL runs on a copy of its schema, in a scratch database (``scratch``), in a transaction that is rolled back
(``trial``); the difference is carried over to the stored schema (``core.transplant``) and judged there (``core.impact``).
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec
import psycopg
from django.conf import settings
from msgspec import Struct

from schema_monitor import traffic, versions
from schema_monitor.aliases import retired_names
from schema_monitor.core.definitions import Definitions
from schema_monitor.core.diff import diff
from schema_monitor.core.expand import Plan, plans
from schema_monitor.core.export import Export, export
from schema_monitor.core.impact import Judged, Settled, Verdict, judge
from schema_monitor.core.impact import World as Side
from schema_monitor.core.lineage import Lineage
from schema_monitor.core.neighbours import around
from schema_monitor.core.snapshot import Snapshot
from schema_monitor.core.statements import Statement, split
from schema_monitor.core.traffic import RecentShape
from schema_monitor.core.transplant import transplant
from schema_monitor.core.weigh import Weighed, World, weigh
from schema_monitor.definitions import read_definitions
from schema_monitor.impact.apart import try_apart
from schema_monitor.impact.limits import LIMITS, Limits
from schema_monitor.impact.scratch import Busy, Stopped, Unusable
from schema_monitor.impact.trial import Refusal
from schema_monitor.weights import is_certain

__all__ = ["LIMITS", "Busy", "Caller", "Impact", "NoVersion", "Stopped", "TooLarge", "Unusable", "check"]


_OF_ROWS = frozenset({
    "required_column_added", "not_null_set", "type_changed", "primary_key_changed", "unique_added", "check_added", "check_changed",
    "foreign_key_added", "foreign_key_changed", "exclusion_added", "exclusion_changed",
})  # fmt: skip
"""Changes that rows may refuse."""


class NoVersion(Exception):
    """No schema version was captured yet, so there is nothing to copy."""


class TooLarge(Exception):
    """The DDL is longer than a check takes; the message says how long it may be."""


class Caller(Struct, frozen=True):
    """What one caller would meet: requests of the last days by verdict, and how many of them would be worse off than today."""

    key: str | None
    name: str
    role: str
    verdicts: dict[str, int]
    worse: int


class Impact(Struct, frozen=True):
    """What came out. ``refusal``: a statement that the database refuses, then nothing else is known. ``judged`` are the shapes that
    the change touches or that fail today; ``untouched`` counts the requests of all others."""

    epoch: int
    seconds: float
    days: int
    statements: tuple[str, ...]
    refusal: Refusal | None
    changes: tuple[Weighed, ...] = ()
    judged: tuple[Judged, ...] = ()
    untouched: int = 0
    callers: tuple[Caller, ...] = ()
    plans: tuple[Plan, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst that a caller would newly meet."""
        order = list(Verdict)
        return max((each.verdict for each in self.judged if each.worse), key=order.index, default=Verdict.FITS)


Rules = Callable[[Snapshot], Settled]


def _no_rules(_: Snapshot) -> Settled:
    return frozenset()


def check(ddl: str, rules: Rules = _no_rules, limits: Limits = LIMITS) -> Impact:
    """Tries the DDL out and judges the callers of the last days. ``rules`` tells what active rules answer under a schema.

    Raises ``TooLarge``, ``NoVersion``, ``Unusable`` (no scratch database: has a fix), ``Busy``, ``Stopped`` (over a limit), and
    ``psycopg.OperationalError`` where the target is away. 1. Read the newest version and the target's definitions. 2. In a
    process of its own, build the copy and run there. 3. Carry the difference over. 4. Judge.
    """
    begun = time.monotonic()
    statements = _statements(ddl, limits)
    version = versions.latest()
    if version is None:
        raise NoVersion
    epoch, live, lineage = version
    lineage = lineage.without(retired_names())
    definitions = _definitions(live)
    wanted, note = _wanted(live, definitions, ddl, limits)
    config = settings.MENDGATE
    place = (config.database_url, config.scratch_database_url)
    trial = try_apart(*place, wanted, tuple(live.exposed), _path(live, definitions), statements, limits)
    notes = (*note, *_notes(statements, trial.lacking))
    texts = tuple(statement.summary for statement in statements)
    if trial.after is None:
        return Impact(epoch, _since(begun), traffic.DAYS, texts, trial.refusal, notes=notes)
    after = transplant(live, trial.before, trial.after)
    found = _judged(live, after, lineage, statements, rules)
    notes = (*notes, *_about_rows(found))
    return msgspec.structs.replace(found, epoch=epoch, seconds=_since(begun), statements=texts, notes=notes)


def _judged(live: Snapshot, after: Snapshot, lineage: Lineage, statements: Sequence[Statement], rules: Rules) -> Impact:
    changes, then = diff(live, after), lineage.advance(live, after)
    shapes = traffic.recent_shapes()
    judged = judge(shapes, Side(live, lineage, rules(live)), Side(after, then, rules(after)), changes)
    shown = tuple(each for each in judged if each.reasons or each.today is not Verdict.FITS)
    weighed = weigh(changes, World(live, after, lineage, then), shapes, certain=is_certain())
    untouched = sum(each.shape.requests for each in judged) - sum(each.shape.requests for each in shown)
    return Impact(0, 0.0, traffic.DAYS, (), None, weighed, shown, untouched, _callers(shown), plans(changes, live, after, statements))


def _callers(judged: Iterable[Judged]) -> tuple[Caller, ...]:
    """One a caller, whoever is worse off first."""
    names: dict[tuple[str | None, str], RecentShape] = {}
    counts: dict[tuple[str | None, str], Counter[str]] = {}
    worse: Counter[tuple[str | None, str]] = Counter()
    for each in judged:
        who = (each.shape.key, each.shape.role)
        names.setdefault(who, each.shape)
        counts.setdefault(who, Counter())[each.verdict.value] += each.shape.requests
        worse[who] += each.shape.requests if each.worse else 0
    found = (Caller(key, names[key, role].caller or role, role, dict(counts[key, role]), worse[key, role]) for key, role in counts)
    return tuple(sorted(found, key=lambda caller: (-caller.worse, caller.name)))


def _statements(ddl: str, limits: Limits) -> tuple[Statement, ...]:
    if len(ddl) > limits.most_characters:
        raise TooLarge(f"At most {limits.most_characters} characters of DDL are tried at once.")
    statements = tuple(split(ddl))
    if len(statements) > limits.most_statements:
        raise TooLarge(f"At most {limits.most_statements} statements are tried at once.")
    return statements


def _definitions(live: Snapshot) -> Definitions:
    url, name = settings.MENDGATE.target_database_url, "mendgate impact"
    with psycopg.connect(url, autocommit=True, connect_timeout=5, prepare_threshold=None, application_name=name) as target:
        return read_definitions(target, live)


def _wanted(live: Snapshot, definitions: Definitions, ddl: str, limits: Limits) -> tuple[Export, tuple[str, ...]]:
    """What is copied: everything, or of a large schema what the DDL may touch."""
    whole = export(live, definitions)
    if len(live.relations) <= limits.most_relations:
        return whole, ()
    near = around(ddl, live, definitions, limits.most_relations)
    pieces = tuple(piece for piece in whole.pieces if near.issuperset(piece.relations))
    note = (
        f"The copy has {len(near)} of {len(live.relations)} tables and views: those that the DDL names, and what hangs together with them."
    )
    return Export(pieces, whole.missing), (note,)


def _path(live: Snapshot, definitions: Definitions) -> tuple[str, ...]:
    """Where unqualified names are looked up: in the exposed schemas, then where extensions live."""
    return tuple(dict.fromkeys((*live.exposed, "public", *(schema for _, schema in definitions.extensions))))


def _notes(statements: Sequence[Statement], lacking: tuple[str, ...]) -> tuple[str, ...]:
    skipped = ["Transaction commands were left out: all of it ran in one transaction."] if any(map(_is_command, statements)) else []
    concurrent = ["CONCURRENTLY was left out: it does not change the outcome."] if any(map(_is_concurrent, statements)) else []
    missing = [f"The copy lacks {len(lacking)}: {'; '.join(lacking[:10])}{' …' if len(lacking) > 10 else ''}."] if lacking else []
    return (*skipped, *concurrent, *missing)


def _about_rows(found: Impact) -> Iterator[str]:
    if any(each.change.kind in _OF_ROWS for each in found.changes):
        yield "The copy has no rows: whether those of the target satisfy the change was not tried."


def _is_command(statement: Statement) -> bool:
    return statement.is_transaction_command


def _is_concurrent(statement: Statement) -> bool:
    return statement.in_transaction != statement.bare


def _since(begun: float) -> float:
    return round(time.monotonic() - begun, 3)
