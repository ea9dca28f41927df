"""The AI tier on real writes that do not fit, with a small local model: right, wrong, abstained, and what its gates would apply.

    python -m benchmarks.assist [--minutes 6] [--seed 1] [--shipped]

A call of the drift data is asked as the worker would ask it: the same prompt, schema, reader, checks, matcher and gates. The trial in the
target is left out (the data has no databases), so the gates count it as passed: applied is an upper bound. The matcher that agrees or not
never saw the project (it is trained without it; ``--shipped`` takes the one that ships). ``echo`` is the worst model there could be: it
says whatever the matcher says first, so the gates stand alone.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import httpx
from msgspec import Struct

from benchmarks.drift import Entry, load, schema_of
from benchmarks.figures import figure
from benchmarks.matching.cases import Question, renames, seeded, wild, wild_value
from benchmarks.matching.labelled import CLAIMS, TRUSTED
from healing.core import fixes
from healing.core.assist import (
    BUILTIN,
    Case,
    Proof,
    agree,
    answer_schema,
    check,
    choices,
    facts_of,
    messages,
    most_tokens,
    read_answer,
    why_not,
)
from healing.core.match import propose
from healing.core.match.model import Model, shipped
from healing.core.types import Json, Kind, Misfit, Operation, Proposal, Statement
from schema_monitor.core.snapshot import Relation, Snapshot
from tests.local_model import NAME, missing, served

PASSED = Proof(1, 1)
ModelOf = Callable[[str], Model]


class Call(Struct, frozen=True):
    """One write call with all its misfits. ``truths``: key -> what is right, for the keys whose truth is known."""

    project: str
    statement: Statement
    misfits: tuple[Misfit, ...]
    relation: Relation
    snapshot: Snapshot
    truths: dict[str, Entry]


def calls() -> list[Call]:
    """Every call of the wild data that has a known table, a misfit that is known before sending or as a label, and a known truth."""
    grouped: dict[str, list[Entry]] = {}
    for case in load("wild"):
        if case["columns"]:
            grouped.setdefault(repr((case["project"], case["table"], case["op"], case["payload"])), []).append(case)
    return [call for cases in grouped.values() if (call := _call(cases)) is not None]


def _call(cases: list[Entry]) -> Call | None:
    first = cases[0]
    rng, schema = seeded(first["id"], 0), schema_of(first["table"], first["columns"])
    truths = {c["key"]: c["truth"] for c in cases if c["conf"] in TRUSTED and c["problem"] in ("unknown_column", "enum_mismatch")}
    by_key = {c["key"]: c for c in cases}
    row = {key: wild_value(key, spec, schema, by_key.get(key), rng) for key, spec in first["payload"].items()}
    live = {c.name for c in schema.relation.columns}
    misfits = [Misfit(Kind.UNKNOWN_COLUMN, key, value) for key, value in row.items() if key not in live]
    if not misfits:  # a label is only met once the names fit
        for case in cases:
            if case["problem"] == "enum_mismatch":
                row[case["key"]] = value = case["truth"].get("from", case["value"])
                misfits.append(Misfit(Kind.UNKNOWN_LABEL, case["key"], value))
    known = {misfit.column for misfit in misfits}
    truths = {key: truth for key, truth in truths.items() if key in known}
    if not truths:
        return None
    statement = Statement(Operation(first["op"]), "public", first["table"], (row,))
    return Call(first["project"], statement, tuple(misfits), schema.relation, schema.snapshot, truths)


class Outcome(Struct, frozen=True):
    """What became of one call. ``word``: right, wrong, abstained, invalid, misfit (checked and refused), unjudged."""

    call: Call
    word: str
    agreement: str = ""
    applied: bool = False
    said: str = ""


def judged(call: Call, ops: tuple[fixes.Fix, ...]) -> str:
    """Right where every key with a known truth is, wrong where one is not."""
    found = [_right(op, call.truths[key]) for op in ops for key in _keys(op) if key in call.truths]
    return "unjudged" if not found else "right" if all(found) else "wrong"


def _keys(op: fixes.Fix) -> tuple[str, ...]:
    return (op.source,) if isinstance(op, fixes.RenameColumn) else (op.column,) if hasattr(op, "column") else ()


def _right(op: fixes.Fix, truth: dict[str, Json]) -> bool:
    match truth["action"], op:
        case "rename", fixes.RenameColumn(target=to):
            return bool(to == truth["to"])
        case "ambiguous", fixes.RenameColumn(target=to):
            return to in truth["to"]
        case "into_json", fixes.Rescue(into=into):
            return bool(into == truth["to"])
        case "map_value", fixes.MapValue(target=to):
            return bool(to == truth["to"])
        case "drop_key", fixes.DropKey():
            return True
    return False


def asked(call: Call, base_url: str, client: httpx.Client, model: Model) -> Outcome:
    """One call, as the worker would ask it."""
    found = choices(call.statement, call.misfits, call.relation, call.snapshot, CLAIMS)
    facts = facts_of(call.statement, call.misfits, call.relation, call.snapshot, found)
    form = {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": answer_schema(found, facts.names, call.misfits), "strict": True},
    }
    body = {
        "model": NAME,
        "messages": messages(BUILTIN, facts),
        "temperature": 0,
        "max_tokens": most_tokens(BUILTIN, len(call.misfits)),
        "response_format": form,
    }
    try:
        answer = client.post(f"{base_url}/chat/completions", json=body, timeout=60)
    except httpx.TimeoutException:
        return Outcome(call, "unanswered")
    if answer.status_code != 200:
        return Outcome(call, "invalid", said=answer.text[:200])
    content = answer.json()["choices"][0]["message"]["content"]
    read = read_answer(content, found, facts.names, call.misfits)
    if not read.ops:
        return Outcome(call, "invalid" if read.invalid else "abstained", said=content)
    return gated(call, read.ops, model, content)


def gated(call: Call, ops: tuple[fixes.Fix, ...], model: Model, said: str = "") -> Outcome:
    """An answer through check, matcher and gates."""
    if check(ops, call.statement, call.misfits, call.relation, call.snapshot):
        return Outcome(call, "misfit", said=said)
    agreement = agree(ops, proposed(call, model))
    applied = not why_not(Case(ops, call.misfits, agreement, PASSED))
    return Outcome(call, judged(call, ops), agreement.word, applied, said or str(fixes.dump(ops)))


def proposed(call: Call, model: Model) -> tuple[Proposal, ...]:
    """What the matcher says."""
    return propose(call.statement, call.misfits, call.relation, call.snapshot, claims=CLAIMS, lineage=None, model=model)


def echo(some: Iterable[Call], model_of: ModelOf) -> list[Outcome]:
    """The gates alone: a model that says whatever the matcher puts first."""
    found = []
    for call in some:
        model = model_of(call.project)
        if first := proposed(call, model)[:1]:
            found.append(gated(call, fixes.parse(list(first[0].fix)), model))
    return found


def of_question(question: Question) -> Call:
    """A rename or removal of a history as a call."""
    truths = {key: {"action": "rename", "to": to} if to else {"action": "none"} for key, to in question.answers.items()}
    schema = question.schema
    return Call(question.project, question.statement, question.misfits, schema.relation, schema.snapshot, truths)


def unseen() -> ModelOf:
    """For each project a matcher that was trained without it."""
    from benchmarks.matching.table import Labels, everything
    from benchmarks.matching.train import Judge, train

    return Judge(train(everything(), Labels()))


def report(name: str, found: list[Outcome]) -> None:
    """Counts of one set."""
    words = Counter(each.word for each in found)
    agreement = Counter(each.agreement for each in found if each.agreement)
    applied = [each for each in found if each.applied]
    print(f"\n{name}: {len(found)} calls")
    print(
        "  " + ", ".join(f"{word} {words[word]}" for word in ("right", "wrong", "abstained", "invalid", "misfit", "unjudged", "unanswered"))
    )
    print(f"  matcher: {dict(agreement)}; right where it agrees {_share(found, 'same')}, where not {_share(found, 'other', 'silent')}")
    print(f"  applied {len(applied)}, of them right {sum(o.word == 'right' for o in applied)}, wrong {_wrong(found)}")
    for each in applied:
        if each.word == "wrong":
            print(f"    WRONG {each.said} in truth {each.call.truths}")


def _share(found: list[Outcome], *words: str) -> str:
    some = [o for o in found if o.agreement in words and o.word in ("right", "wrong")]
    return f"{sum(o.word == 'right' for o in some)}/{len(some)}"


def _wrong(found: list[Outcome]) -> int:
    return sum(each.applied and each.word == "wrong" for each in found)


def main() -> int:
    """Asks until the time is over; then the gates alone."""
    options = _options()
    model_of: ModelOf = (lambda _: shipped()) if options.shipped else unseen()
    every = calls()
    random.Random(options.seed).shuffle(every)
    found = _ask(every, options.minutes * 60, model_of) if not (why := missing()) else []
    print(why or f"sampled {len(found)} of {len(every)} calls, seed {options.seed}")
    report("small local model, wild", found)
    alone = {"echo, wild": [of_question(q) for q in wild()] + [c for c in every if c.misfits[0].kind is Kind.UNKNOWN_LABEL]}
    alone |= {f"echo, renames and removals ({setting})": [of_question(q) for q in renames(setting)] for setting in ("typical", "bare")}
    wrong = {"small local model": _wrong(found)}
    for name, some in alone.items():
        outcomes = echo(some, model_of)
        report(name, outcomes)
        wrong[name] = _wrong(outcomes)
    for name, count in wrong.items():
        figure(f"AI tier: wrong applied ({name})", str(count), "0", count == 0)
    return int(any(wrong.values()))


def _ask(every: list[Call], seconds: float, model_of: ModelOf) -> list[Outcome]:
    found: list[Outcome] = []
    with served() as base_url, httpx.Client() as client:
        ends = time.monotonic() + seconds
        for call in every:
            if time.monotonic() > ends:
                break
            found.append(asked(call, base_url, client, model_of(call.project)))
    return found


def _options() -> Any:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shipped", action="store_true", help="the matcher that ships; it saw this data")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
