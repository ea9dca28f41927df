"""All misfits of one payload at once: every misfit gets its options, and the proposals are whole fixes made of them.

1. options for each misfit (columns, labels, missing values, reused names, refused values)
2. one assignment: a column is taken once
3. the whole: every misfit by its best option, if each is likely enough; else the part that is
4. the alternatives: other columns, the catch-all, leaving the key out
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from healing.core.certify import marked
from healing.core.chance import percent
from healing.core.fixes import MOST_OPS
from healing.core.signature import read
from healing.core.types import Json, Kind, Misfit, Proposal, Statement
from schema_monitor.core.lineage import Ambiguous, Gone, Lineage
from schema_monitor.core.snapshot import Relation, Snapshot

from . import columns, labels, missing, refused, reused, tables
from .model import Model, shipped
from .option import Option
from .scene import Scene, scene_of
from .suggest import column_for
from .whatif import would_change

MOST = 8
"""proposals a payload."""
MOST_OPEN = 10
"""misfits that a proposal does not settle and that are named; more are counted."""
TWO_THINGS = 0.02
"""what is left of a column's chance if it lived beside the key: names may have been swapped, hardly ever"""
LIKELY = 0.25
"""an option joins the whole only above this."""


def propose(
    statement: Statement,
    misfits: tuple[Misfit, ...],
    relation: Relation | None,
    snapshot: Snapshot,
    *,
    claims: Mapping[str, Json],
    lineage: Lineage | None,
    model: Model | None = None,
    former: tuple[str, ...] | None = None,
) -> tuple[Proposal, ...]:
    """Fixes that somebody may approve, best first; empty where the matcher has nothing to say. ``relation`` None: unknown table;
    ``model`` None: the one that ships; ``former``: the columns, in order, that the table had when it had the key, where that is known."""
    if relation is None:
        return tables.proposals(statement, misfits, snapshot)
    scene = scene_of(statement, misfits, relation, snapshot, former)
    found = _options(statement, misfits, relation, snapshot, scene, claims, lineage, model or shipped())
    lacking = _still_missing(found, misfits, relation, scene, claims)
    homes = _homes(found, statement)
    ranked = tuple([_proposal(plan, chance, found, homes) for chance, plan in _chances(_plans(found, lacking))[:MOST]])
    return marked(ranked, (model or shipped()).stamp)


def _options(
    statement: Statement,
    misfits: tuple[Misfit, ...],
    relation: Relation,
    snapshot: Snapshot,
    scene: Scene,
    claims: Mapping[str, Json],
    lineage: Lineage | None,
    model: Model,
) -> dict[str, list[Option]]:
    """signature -> options, best first, for every misfit."""
    supplies = {m.column: m.signature for m in misfits if m.kind is Kind.MISSING_VALUE}
    keys = columns.options(scene, supplies, model)
    found: dict[str, list[Option]] = {}
    for misfit in misfits:
        match misfit.kind:
            case Kind.UNKNOWN_COLUMN if misfit.column:
                found[misfit.signature] = _remembered(misfit, relation, lineage, keys.get(misfit.column, []))
            case Kind.UNKNOWN_LABEL:
                found[misfit.signature] = labels.options(misfit, relation, snapshot, model)
            case Kind.MISSING_VALUE if scene.inserts or misfit.column in scene.row:
                found[misfit.signature] = missing.options(misfit, relation, scene, claims)
            case Kind.REUSED_NAME:
                found[misfit.signature] = reused.options(misfit, relation, lineage, scene.row)
            case _:
                found[misfit.signature] = refused.options(misfit, relation)
    return found


def _remembered(misfit: Misfit, relation: Relation, lineage: Lineage | None, options: list[Option]) -> list[Option]:
    """Adds what history says without being exact: a former name of several columns, or of one by inference only."""
    if lineage is None:
        return options
    match lineage.resolve_column(relation, misfit.column):
        case Ambiguous(candidates) if candidates:
            chance = 0.8 if len(candidates) == 1 else 0.9 / len(candidates)
            known = {c.name for c in candidates}
            told = [
                Option(
                    misfit.signature,
                    {"op": "rename_column", "from": misfit.column, "to": c.name},
                    chance,
                    f"write `{misfit.column}` to `{c.name}`",
                    takes=c.name,
                    for_=(f"{c.name} was called {misfit.column} before",),
                    against=("the history does not settle it alone",),
                )
                for c in candidates
            ]
            return told + [_scaled(o, 0.2) for o in options if o.takes not in known]
        case Gone(attnum):
            return [_beside(o, relation, attnum) for o in options]
        case _:
            return options


def _beside(option: Option, relation: Relation, dropped: int) -> Option:
    """A column that is older than the one that was dropped lived beside it: they are two things. Numbers of columns tell their age."""
    column = relation.column(option.takes)
    told = _told(option, "the key was a column of its own that has been dropped")
    if column is None or not dropped or column.attnum > dropped:
        return told
    return _scaled(_told(told, f"`{column.name}` and it were columns of the table at the same time"), TWO_THINGS)


def _scaled(option: Option, factor: float) -> Option:
    return Option(
        option.misfit,
        option.op,
        option.probability * factor,
        option.says,
        option.takes,
        option.gentle,
        option.for_,
        option.against,
        option.settles,
    )


def _told(option: Option, against: str) -> Option:
    if option.op["op"] != "rename_column":
        return option
    return Option(
        option.misfit,
        option.op,
        option.probability,
        option.says,
        option.takes,
        option.gentle,
        option.for_,
        (*option.against, against),
        option.settles,
    )


def _still_missing(
    found: Mapping[str, list[Option]], misfits: tuple[Misfit, ...], relation: Relation, scene: Scene, claims: Mapping[str, Json]
) -> list[Option]:
    """Fills for required columns that nobody reported yet, because the payload never reached the database. Only from a claim: that is
    the one source that needs no guess about the payload. A BEFORE trigger may supply the value itself, so then nothing."""
    reported = {m.column for m in misfits if m.kind is Kind.MISSING_VALUE}
    if relation.has_before_triggers or not any(m.kind is Kind.UNKNOWN_COLUMN for m in misfits):
        return []
    taken = {o[0].takes for o in found.values() if o}
    lacking = [c for c in missing.required(scene) if c.name not in reported and c.name not in taken]
    fills = [missing.options(missing.implied(c), relation, scene, claims) for c in lacking]
    return [o[0] for o in fills if o and o[0].op.get("claim") and o[0].probability >= 0.5]


Plan = tuple[Option, ...]


def _plans(found: Mapping[str, list[Option]], lacking: list[Option]) -> list[Plan]:
    """The whole first, where there is one, then its parts and the alternatives, each once."""
    firsts = [options[0] for options in found.values() if options]
    likely = _without_clashes([o for o in firsts if o.gentle and o.probability >= LIKELY])
    plans: list[Plan] = []
    if likely:
        plans.append((*likely, *lacking) if _covered(likely) >= set(found) else tuple(likely))
    parked = [next((o for o in options if not o.gentle), None) for options in found.values() if not _settled(options, likely)]
    if likely and parked and all(parked):
        plans.append((*likely, *(o for o in parked if o is not None), *lacking))
    singles = [(option,) for options in found.values() for option in options]
    whole = len(found) == 1
    plans += [(*single, *lacking) if whole and single[0].gentle else single for single in singles]
    unique: dict[str, Plan] = {}
    for plan in plans:
        if len(plan) <= MOST_OPS:  # more is no fix: nobody could judge it
            unique.setdefault(repr([o.op for o in plan]), plan)
    return list(unique.values())


def _settled(options: list[Option], chosen: list[Option]) -> bool:
    return any(o in chosen for o in options) or bool(options and options[0].misfit in {s for c in chosen for s in c.settles})


def _covered(plan: Sequence[Option]) -> set[str]:
    return {s for o in plan for s in ((o.misfit, *o.settles) if o.settles else (o.misfit,))}


def _without_clashes(options: list[Option]) -> list[Option]:
    """Each live column is written once; a misfit that another option settles needs none of its own."""
    chosen: list[Option] = []
    for option in sorted(options, key=lambda o: (-len(o.settles), -o.probability)):
        if option.takes and option.takes in {o.takes for o in chosen}:
            continue
        if option.misfit in {s for o in chosen for s in o.settles}:
            continue
        chosen.append(option)
    return chosen


def together(plan: Plan) -> float:
    """Probability that all of it is right. Parts of one payload are right or wrong together more often than apart, so the least likely
    part counts beside the product."""
    product, least = 1.0, 1.0
    for option in plan:
        product *= option.probability
        least = min(least, option.probability)
    return float((product * least) ** 0.5)


def _chances(plans: list[Plan]) -> list[tuple[float, Plan]]:
    """Plans with their probabilities, best first. A part is never put above the whole that contains it: approving the part would not let
    the payload land."""
    if not plans:
        return []
    whole, reach = plans[0], len(_covered(plans[0]))
    ceiling = together(whole) if reach > 1 else 1.0
    ranked = [(together(whole), whole)]
    for plan in plans[1:]:
        chance = together(plan)
        part = len(_covered(plan)) < reach
        ranked.append((min(chance, 0.95 * ceiling) if part else chance, plan))
    return sorted(ranked, key=lambda r: -round(r[0], 9))  # what is beyond depends on the order of sums


def _proposal(plan: Plan, chance: float, found: Mapping[str, list[Option]], homes: Mapping[str, dict[str, Json]]) -> Proposal:
    says, covered = "; ".join([o.says for o in plan]), _covered(plan)
    against = [*(reason for o in plan for reason in o.against), *_left_open([s for s in found if s not in covered])]
    evidence: dict[str, Json] = {"for": list(dict.fromkeys([r for o in plan for r in o.for_])), "against": list(dict.fromkeys(against))}
    other = next((o for option in plan for o in found.get(option.misfit, []) if o is not option), None)
    if other is not None:
        evidence["runner_up"] = f"{other.says} ({percent(other.probability)})"
    evidence["would_change"] = would_change(plan, found)
    placed = {o.misfit for o in plan if o.gentle}
    homeless = [dict(home) for signature, home in homes.items() if signature not in placed]
    if homeless:
        evidence["add_column"] = homeless
    if len(plan) > 1:
        evidence["parts"] = [{"says": o.says, "probability": round(o.probability, 4)} for o in plan]
    return Proposal(tuple([o.op for o in plan]), round(chance, 4), "matcher", says[:1].upper() + says[1:] + ".", evidence)


def _left_open(signatures: list[str]) -> list[str]:
    shown, more = signatures[:MOST_OPEN], len(signatures) - MOST_OPEN
    return [f"it leaves {s} open" for s in shown] + ([f"it leaves {more} more open"] if more > 0 else [])


def _homes(found: Mapping[str, list[Option]], statement: Statement) -> dict[str, dict[str, Json]]:
    """For each unknown key the column that would take it, for plans that give it none: what people mostly did was to add one."""
    named = [(signature, *read(signature)) for signature in found]
    return {signature: column_for(name, statement.rows) for signature, kind, name in named if kind == Kind.UNKNOWN_COLUMN and name}
