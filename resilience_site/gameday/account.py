"""What came of it, as values: each try, each stretch of time with its fault, and the verdict on both. No I/O.

A request must end as the ledger says (committed once, kept once, refused without effect) and as its kind may. A try that was troubled (cut
off, or answered with a fault of ours) must fall into a stretch with a fault, or shortly after; and where a fault must not be felt by writes
that need nothing, none of those may be troubled at all.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from msgspec import Struct

from healing.core.ledger import Account, End, Found, Heard
from resilience_site.gameday.kinds import Request

SLACK = 25.0
"""Seconds after a fault was lifted in which its traces are its own: processes start, and the target's breaker, which a trial of the last
moment may have opened for its longest (15 s and a fifth), probes."""
STEP = 0.25
"""Seconds of a bar in a picture."""
PASSING = frozenset({"57014", "55P03", "40001", "40P01", "53300", "57P01", "57P02", "57P03", "MG503", "MG504", "MG409", "PGRST000"})
"""Errors after which an end is explained by the moment: a write that waited for a lock too long is kept, or refused."""


class Try(Struct, frozen=True):
    """One sending: when (seconds since the beginning), how long it took, what was heard. ``said``: an error's text, cut short."""

    mark: str
    at: float
    seconds: float
    heard: Heard
    said: str = ""

    @property
    def troubled(self) -> bool:
        """Cut off, or a fault of ours. A 409 "in flight" is none: it is the answer to a second try."""
        return self.heard.status == 0 or self.heard.status >= 500


class Look(Struct, frozen=True):
    """A read of a row that was told to be committed. ``found``: how many rows there were; None where it was not answered so."""

    sent: Try
    found: int | None = None


class Stretch(Struct, frozen=True):
    """From a fault's beginning until the next one's. ``fault``: its name, '' where all was well; ``lifted``: when it was over;
    ``harmless``: writes that need nothing must not feel it; ``unkept``: nothing can be kept meanwhile; ``refuses``: codes with which
    any request may be refused for good meanwhile."""

    fault: str
    begun: float
    lifted: float
    until: float
    harmless: bool = False
    unkept: bool = False
    refuses: frozenset[str] = frozenset()


class Part(Struct, frozen=True):
    """What came of a stretch. ``ends`` by word, of the requests first sent in it; ``bars`` (fine, troubled) tries a ``STEP``;
    ``recovered``: seconds from the lifting to the end of the last troubled try; ``wrong``: one sentence each, none where it held."""

    stretch: Stretch
    requests: int
    tries: int
    troubled: int
    ends: Mapping[str, int]
    statuses: Mapping[str, int]
    p50: float
    p99: float
    recovered: float
    bars: list[tuple[int, int]]
    wrong: list[str]


def parts_of(stretches: Sequence[Stretch], requests: Mapping[str, Request], tries: Sequence[Try], account: Account) -> list[Part]:
    """Each stretch with what came of it. Every request is in exactly one."""
    of_mark: dict[str, list[Try]] = defaultdict(list)
    inside: list[list[Try]] = [[] for _ in stretches]
    for each in tries:
        of_mark[each.mark].append(each)
        inside[_place(stretches, each.at)].append(each)
    marks: list[list[str]] = [[] for _ in stretches]
    for mark, own in of_mark.items():
        marks[_place(stretches, own[0].at)].append(mark)
    said = {sentence.partition(": ")[0]: sentence for sentence in account.unexplained}
    found = []
    for stretch, sent, there in zip(stretches, marks, inside, strict=True):
        wrong = [said[mark] for mark in sent if mark in said]
        wrong += filter(None, (_unexpected(requests[mark], of_mark[mark], account, stretches) for mark in sent))
        wrong += filter(None, (_untimely(one, stretches, requests[one.mark].bare) for one in there if one.troubled))
        found.append(_part(stretch, sent, there, account, wrong))
    return found


def lost_and_doubled(wants: Mapping[str, Mapping[str, int]], found: Found, account: Account) -> tuple[int, int]:
    """Of what is unexplained: how many requests have less of themselves stored or kept than they were told, and how many have more."""
    lost = doubled = 0
    for mark in (sentence.partition(": ")[0] for sentence in account.unexplained):
        rows, kept = found.rows.get(mark, {}), found.waiting.get(mark, 0) + found.replayed.get(mark, 0)
        more = kept > 1 or any(count > wants.get(mark, {}).get(table, 0) for table, count in rows.items()) or (bool(rows) and kept > 0)
        doubled, lost = doubled + more, lost + (not more)
    return lost, doubled


def misreads(stretches: Sequence[Stretch], wants: Mapping[str, Mapping[str, int]], looks: Sequence[Look]) -> list[str]:
    """What is wrong with reads, a sentence each: another number of rows than were committed, an error that no fault explains."""
    return [sentence for look in looks if (sentence := _misread(look, stretches, wants[look.sent.mark]["plain"]))]


def _misread(look: Look, stretches: Sequence[Stretch], wanted: int) -> str:
    each = look.sent
    if look.found is not None:
        return (
            ""
            if look.found == wanted
            else f"{each.mark}: was committed, and a read {each.at:.1f} s after the beginning found {look.found} rows"
        )
    if each.troubled:
        wrong = _untimely(each, stretches, bare=True)
        return f"a read of {wrong}" if wrong else ""
    if each.heard.code in PASSING or _may_be_refused(each, stretches):
        return ""
    return f"{each.mark}: was committed, and a read {_word(each)} {each.at:.1f} s after the beginning: {each.said}"


def nobodys(requests: Mapping[str, Request], account: Account) -> list[str]:
    """What is wrong and belongs to no request that was sent."""
    return [sentence for sentence in account.unexplained if sentence.partition(": ")[0] not in requests]


def _part(stretch: Stretch, marks: Sequence[str], inside: Sequence[Try], account: Account, wrong: list[str]) -> Part:
    took = sorted(each.seconds for each in inside if not each.troubled)
    troubled = [each for each in inside if each.troubled]
    last = max((each.at + each.seconds for each in troubled), default=stretch.lifted)
    return Part(
        stretch, len(marks), len(inside), len(troubled),
        dict(Counter(str(account.by_mark[mark]) if mark in account.by_mark else "unexplained" for mark in marks)),
        dict(Counter(str(each.heard.status or "cut off") for each in inside)),
        _quantile(took, 0.5), _quantile(took, 0.99), round(max(0.0, last - stretch.lifted), 3), _bars(stretch, inside), wrong,
    )  # fmt: skip


def _unexpected(request: Request, tries: Sequence[Try], account: Account, stretches: Sequence[Stretch]) -> str:
    """Ended soundly, but not as its kind may, and no passing error says why; '' where all is well."""
    end, codes = account.by_mark.get(request.mark), {each.heard.code for each in tries}
    if end is None or end in request.ends or codes & PASSING:
        return ""
    if end is End.REFUSED and any(_may_be_refused(each, stretches) for each in tries):
        return ""
    if end is End.REFUSED and End.KEPT in request.ends and any(one.unkept for one in _near(tries[-1], stretches)):
        return ""
    said = "; ".join(dict.fromkeys(f"{_word(each)} at {each.at:.1f} s {each.said}".strip() for each in tries))
    return f"{request.mark}: ended {end}, which this kind of request must not: {said}"


def _may_be_refused(each: Try, stretches: Sequence[Stretch]) -> bool:
    return any(each.heard.code in one.refuses for one in _near(each, stretches))


def _untimely(each: Try, stretches: Sequence[Stretch], bare: bool) -> str:
    """A troubled try that no fault explains; '' where one does: it began, and was not lifted for longer than ``SLACK``, while the try
    was under way."""
    said = f"{each.mark}: {_word(each)} {each.at:.1f} s after the beginning"
    if each.heard.status == 500:
        return f"{said}: no fault may be answered so. {each.said}"
    near = _near(each, stretches)
    if not near:
        return f"{said}, while no fault was in force. {each.said}"
    if bare and all(one.harmless for one in near):
        return f"{said}: {near[-1].fault} must not be felt by a write that needs nothing. {each.said}"
    return ""


def _near(each: Try, stretches: Sequence[Stretch]) -> list[Stretch]:
    """The faults in force while a try was under way, or lifted shortly before."""
    return [one for one in stretches if one.fault and one.begun <= each.at + each.seconds and each.at <= one.lifted + SLACK]


def _word(each: Try) -> str:
    return "was cut off" if each.heard.status == 0 else f"was answered {each.heard.status} {each.heard.code}".rstrip()


def _place(stretches: Sequence[Stretch], at: float) -> int:
    """The stretch that a moment is in; what is before or after all of them is in the first or the last."""
    for number, stretch in enumerate(stretches):
        if at < stretch.until:
            return number
    return len(stretches) - 1


def _bars(stretch: Stretch, inside: Sequence[Try]) -> list[tuple[int, int]]:
    """Tries by when they ended."""
    bars = [[0, 0] for _ in range(max(1, int((stretch.until - stretch.begun) / STEP) + 1))]
    for each in inside:
        number = min(max(0, int((each.at + each.seconds - stretch.begun) / STEP)), len(bars) - 1)
        bars[number][each.troubled] += 1
    return [(fine, troubled) for fine, troubled in bars]


def _quantile(values: Sequence[float], part: float) -> float:
    return round(values[min(len(values) - 1, int(len(values) * part))], 4) if values else 0.0
