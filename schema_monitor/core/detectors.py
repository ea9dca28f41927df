"""Which detector is in force, why the better ones are not, and what it promises. Best first: listen, log, counters, fingerprint."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

STATISTICS_LAG = 10.0
"""Seconds that Postgres may take to publish its counters."""
SILENT = 5.0
"""Seconds after which a connection that does not answer is given up."""


class Facts(Struct, frozen=True):
    """What was found out about the target. ``every``: seconds between two looks; ``interval``: between two fingerprints in quiet;
    ``moved``: between two while counters move; ``alive``: the log takes entries."""

    monitor: str = ""
    readable: bool = False
    alive: bool = True
    notifies: bool = False
    hears: bool = False
    pooled: bool = False
    standby: bool = False
    counts: bool = True
    removed: bool = False
    every: float = 1.0
    interval: float = 1.0
    moved: float = 0.1

    @property
    def logged(self) -> bool:
        """Changes are logged, and we may read the log."""
        return self.monitor == "on" and self.readable and self.alive


class Verdict(Struct, frozen=True):
    """``detector`` is listen, log, counters or fingerprint; a change is seen within ``bound`` seconds; ``text`` says that."""

    detector: str
    why_not: tuple[str, ...]
    bound: float
    text: str


def judge(facts: Facts) -> Verdict:
    """The best detector that these facts allow."""
    why_not = tuple(_why_not(facts))
    if facts.logged and facts.hears and facts.notifies:
        bound = max(1.0, facts.every)
        text = (
            f"A change is seen at once; within {_s(bound)} where its notification is lost, within {_s(SILENT)} where a connection breaks."
        )
        return Verdict("listen", (), bound, text)
    if facts.logged:
        bound = 2 * facts.every
        return Verdict("log", why_not, bound, f"A change is seen within {_s(bound)}.")
    if facts.counts and not facts.standby:
        bound = min(STATISTICS_LAG + facts.moved, facts.interval + facts.every) + facts.every
        return Verdict(
            "counters", why_not, bound, f"A change is seen within {_s(bound)}, mostly within {_s(1 + facts.moved + facts.every)}."
        )
    bound = facts.interval + facts.every
    return Verdict("fingerprint", why_not, bound, f"A change is seen within {_s(bound)}.")


def _why_not(facts: Facts) -> Iterator[str]:
    if not facts.logged:
        yield _no_log(facts)
    if facts.standby:
        yield "The target is a standby: LISTEN is not possible there. Point TARGET_DATABASE_URL at the primary."
    elif facts.pooled:
        yield "A transaction pooler before the target breaks LISTEN: use a direct or a session connection (Supabase: port 5432)."
    elif facts.logged and not facts.notifies:
        yield "The log does not notify, so that transactions can be prepared (max_prepared_transactions, mendgate.notify)."
    elif facts.logged and not facts.hears:
        yield "Notifications do not arrive (yet): a heartbeat to ourselves did not come back."
    if not facts.logged and not facts.standby and not facts.counts:
        yield "The target counts no writes (track_counts is off)."
    if not facts.logged and facts.standby:
        yield "Counters of catalog writes do not move on a standby."


def _no_log(facts: Facts) -> str:
    if facts.monitor == "disabled":
        return "The DDL log's event triggers are disabled. Run: python manage.py install_monitor"
    if facts.monitor == "dropped":
        return "The DDL log's event triggers are gone. Run: python manage.py install_monitor"
    if facts.monitor == "on" and facts.readable:
        return "The DDL log takes no entries: our triggers cannot write it, or it is locked. Run: python manage.py install_monitor"
    if facts.monitor == "on":
        return "Our login may not read the DDL log, or its table is gone or was altered. Run: python manage.py install_monitor"
    if facts.removed:
        return "The DDL log was removed on purpose. To have it again: python manage.py install_monitor"
    return "The DDL log is not installed. Run: python manage.py install_monitor"


def _s(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 10 or seconds in (1, 2, 3, 4, 5) else f"{seconds:.1f} s"
