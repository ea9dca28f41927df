"""Accounting for requests under faults: what was sent, what was answered, what the tables and the quarantine hold.

Each request carries a mark of its own in every row it writes (and, where it has one, as its Idempotency-Key). It must end as exactly one of

    committed   every row it wants is there, exactly as often as it wants it, and nothing of it waits in quarantine
    kept        none of its rows is there, and it waits in quarantine exactly once
    refused     nothing of it is anywhere

and as what it was told: a 2xx means committed; a 202 or ``Mendgate-Quarantine`` means kept (or committed, once it was replayed); any other
answer means refused. A try that was cut off, or answered 504 (``unknown``), promises nothing by itself, but the end must still be one of
the three; where a later try was answered, that answer counts. What does not fit is unexplained, with a sentence.

::

    ledger = Ledger(seed)
    ledger.sends("a-1", {"orders": 1, "items": 2})        # before the first byte
    ledger.hears("a-1", Heard(201))                       # each try; Heard() for one that was cut off
    account = ledger.account(Found(rows={"a-1": {"orders": 1, "items": 2}}))
    assert not account.unexplained, account.report()
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum

from msgspec import Struct

AGAIN = "MG409"
"""An earlier try under the same key is still under way: says nothing of how it ends."""
UNKNOWN = "MG504"
"""The gateway itself could not find out; it says so."""


class End(StrEnum):
    """The three ends of a request."""

    COMMITTED = "committed"
    KEPT = "kept"
    REFUSED = "refused"


class Heard(Struct, frozen=True):
    """One try's answer. ``status`` 0: none came (cut off, timed out). ``kept``: the id in ``Mendgate-Quarantine``."""

    status: int = 0
    kept: str | None = None
    code: str = ""

    @property
    def promise(self) -> End | None:
        """What this answer promises; None where it promises nothing."""
        if self.status == 0 or self.code in (AGAIN, UNKNOWN):
            return None
        if self.kept is not None or self.status == 202:
            return End.KEPT
        return End.COMMITTED if self.status < 300 else End.REFUSED


class Found(Struct, frozen=True):
    """What is there, by mark. ``rows``: by table. ``waiting``: times in quarantine, not landed. ``replayed``: times landed from there."""

    rows: Mapping[str, Mapping[str, int]] = {}
    waiting: Mapping[str, int] = {}
    replayed: Mapping[str, int] = {}


class Account(Struct, frozen=True):
    """How all requests ended, each of them in ``by_mark``. ``unanswered``: marks whose last try was cut off and that ended as one of the
    three all the same."""

    seed: int
    sent: int
    tries: int
    ends: Mapping[End, int]
    unanswered: tuple[str, ...]
    unexplained: tuple[str, ...]
    by_mark: Mapping[str, End] = {}

    def report(self) -> str:
        """For people: seed, counts, and a line for each that is not explained."""
        ended = ", ".join(f"{count} {end}" for end, count in self.ends.items())
        head = f"seed {self.seed}: {self.sent} requests in {self.tries} tries: {ended}; {len(self.unanswered)} never answered"
        return "\n".join([f"{head}; {len(self.unexplained)} unexplained", *self.unexplained])


class Ledger:
    """The log of whoever sends. Every method may be called from any thread."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.wants: dict[str, Mapping[str, int]] = {}
        self.heard: dict[str, list[Heard]] = {}

    def sends(self, mark: str, wants: Mapping[str, int]) -> None:
        """A request is about to be sent that wants so many rows in each table. Raises ``ValueError`` for a mark that was used."""
        if mark in self.wants:
            raise ValueError(f"the mark {mark!r} was used before")
        self.heard[mark] = []
        self.wants[mark] = wants

    def hears(self, mark: str, heard: Heard) -> Heard:
        """A try of it was answered, or cut off. Returns the same."""
        self.heard[mark].append(heard)
        return heard

    def account(self, found: Found) -> Account:
        """Compares everything that was sent with what is there; also what is there and was never sent."""
        said = [(mark, *_judged(wants, self.heard[mark], found, mark)) for mark, wants in self.wants.items()]
        strange = [f"{mark}: is there, and nobody sent it" for mark in sorted(_marks(found) - self.wants.keys())]
        return Account(
            self.seed,
            len(self.wants),
            sum(map(len, self.heard.values())),
            Counter(end for _, end, _ in said if end is not None),
            tuple(mark for mark, end, wrong in said if end is not None and not wrong and _promise(self.heard[mark]) is None),
            (*(f"{mark}: {wrong}" for mark, _, wrong in said if wrong), *strange),
            {mark: end for mark, end, wrong in said if end is not None and not wrong},
        )


def _marks(found: Found) -> set[str]:
    return {mark for each in (found.rows, found.waiting, found.replayed) for mark, there in each.items() if there}


def _judged(wants: Mapping[str, int], heard: Sequence[Heard], found: Found, mark: str) -> tuple[End | None, str]:
    """The end of a request, None where it is none of the three, and what is wrong with it ('' where nothing is)."""
    rows = {table: count for table, count in found.rows.get(mark, {}).items() if count}
    waiting, replayed = found.waiting.get(mark, 0), found.replayed.get(mark, 0)
    end = _end(wants, rows, waiting, replayed)
    promise = _promise(heard)
    told = f"it was told {promise or 'nothing'} ({', '.join(_said(each) for each in heard) or 'no try'})"
    if end is None:
        return None, f"{rows} of {dict(wants)} are stored, {waiting} wait in quarantine, {replayed} were replayed; {told}"
    kept_and_replayed = promise is End.KEPT and end is End.COMMITTED and replayed == 1
    if promise is None or promise is end or kept_and_replayed:
        return end, ""
    return end, f"ended {end}; {told}"


def _end(wants: Mapping[str, int], rows: Mapping[str, int], waiting: int, replayed: int) -> End | None:
    if rows == {table: count for table, count in wants.items() if count} and waiting == 0 and replayed <= 1:
        return End.COMMITTED
    if not rows and waiting + replayed <= 1:
        return End.KEPT if waiting else (End.REFUSED if not replayed else None)
    return None


def _promise(heard: Sequence[Heard]) -> End | None:
    """What the caller was told in the end. A refusal says nothing of an earlier try that was cut off."""
    promises = [each.promise for each in heard]
    for end in (End.COMMITTED, End.KEPT):
        if end in promises:
            return end
    return End.REFUSED if promises and all(promise is End.REFUSED for promise in promises) else None


def _said(heard: Heard) -> str:
    if heard.status == 0:
        return "cut off"
    return " ".join(part for part in (str(heard.status), heard.code, f"kept as {heard.kept}" if heard.kept else "") if part)
