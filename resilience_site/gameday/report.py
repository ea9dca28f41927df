"""A game day's report as a value that JSON holds: each fault with what came of it, and each request with its tries and its end."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any

from resilience_site.gameday.account import STEP, Part, Try
from resilience_site.gameday.conduct import Outcome
from resilience_site.gameday.faults import FAULTS

VERSION = 1
_CALM = ("Before the first fault", "every request ends as one of the three, none is troubled")


def report_of(outcome: Outcome, *, number: str, by: str, began: datetime) -> dict[str, Any]:
    """``verdict``: held, or broke."""
    wrong = [*outcome.wrong, *outcome.load_wrong]
    return {
        "version": VERSION, "id": number, "by": by, "began": began.isoformat(timespec="seconds"), "seed": outcome.seed,
        "seconds": outcome.seconds, "verdict": "broke" if outcome.unexplained else "held",
        "target": {"kind": "scratch: servers made for this, removed afterwards", "system_identifier": outcome.scratch},
        "requests_sent": outcome.account.sent, "tries": outcome.account.tries,
        "ends": {str(end): count for end, count in outcome.account.ends.items()},
        "never_answered": len(outcome.account.unanswered), "reads": outcome.reads,
        "lost": outcome.lost, "doubled": outcome.doubled, "unexplained": len(outcome.unexplained), "wrong": wrong,
        "connections": max((each.connections for each in outcome.load), default=0),
        "web_megabytes": max((each.web_mb for each in outcome.load), default=0.0),
        "faults": [_part(part) for part in outcome.parts], "requests": _requests(outcome),
    }  # fmt: skip


def _part(part: Part) -> dict[str, Any]:
    stretch = part.stretch
    fault = FAULTS.get(stretch.fault)
    return {
        "fault": stretch.fault, "title": fault.title if fault else _CALM[0], "must": fault.must if fault else _CALM[1],
        "begun": stretch.begun, "lifted": stretch.lifted, "until": round(min(stretch.until, stretch.begun + len(part.bars) * STEP), 3),
        "requests": part.requests, "tries": part.tries, "troubled": part.troubled, "ends": dict(part.ends),
        "answers": dict(part.statuses), "p50": part.p50, "p99": part.p99, "recovered": part.recovered,
        "picture": {"step": STEP, "bars": [list(bar) for bar in part.bars]},
        "verdict": "broke" if part.wrong else "held", "wrong": part.wrong,
    }  # fmt: skip


def _requests(outcome: Outcome) -> list[dict[str, Any]]:
    tries: dict[str, list[Try]] = defaultdict(list)
    for each in outcome.tries:
        tries[each.mark].append(each)
    by_mark = outcome.account.by_mark
    return [
        {
            "mark": mark, "sent": round(own[0].at, 3), "wants": dict(outcome.requests[mark].wants),
            "answers": [_answer(each) for each in own], "end": str(by_mark[mark]) if mark in by_mark else "unexplained",
        }
        for mark, own in tries.items()
    ]  # fmt: skip


def _answer(each: Try) -> str:
    heard = each.heard
    return " ".join(part for part in (str(heard.status or "cut off"), heard.code, "kept" if heard.kept else "") if part)
