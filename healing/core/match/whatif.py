"""What would change the answer: facts that follow from how a proposal is made, said so that a reviewer can check them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from healing.core.chance import percent

from .option import Option

LIKELY = 0.3
CLOSE = 0.15
"""A runner-up this near may come first with a little more evidence."""


def would_change(plan: Sequence[Option], found: Mapping[str, list[Option]]) -> list[str]:
    """One sentence for each thing that would lead to another proposal, or to none."""
    return list(dict.fromkeys(said for option in plan for said in _sentences(option, _rival(option, found))))


def _rival(option: Option, found: Mapping[str, list[Option]]) -> Option | None:
    """The next best answer to the same misfit that writes elsewhere."""
    others = (o for o in found.get(option.misfit, []) if o is not option and (o.takes != option.takes or not o.takes))
    return max(others, key=lambda o: o.probability, default=None)


def _sentences(option: Option, rival: Option | None) -> Iterator[str]:
    op = option.op
    match op["op"]:
        case "rename_column":
            yield f"a payload that sends both `{op['from']}` and `{op['to']}`: then `{op['to']}` is not meant"
            yield f"a rename of `{op['from']}` in the schema's history: then its new name is certain"
        case "rename_table":
            yield f"a rename of `{op['from']}` in the schema's history: then its new name is certain"
        case "map_value":
            yield f"`{op['from']}` among the values of `{op['column']}`: then the write fits as it is"
        case "fill":
            yield f"a payload that sends `{op['column']}`, or a default for that column"
        case "drop_key" | "rescue":
            yield f"a column `{op['column']}`: then the value has a place of its own"
        case "truncate":
            yield f"a wider `{op['column']}`: then nothing is cut"
    if rival is not None and option.probability >= LIKELY and option.probability - rival.probability < CLOSE:
        yield f"little: to {rival.says} is almost as likely ({percent(rival.probability)} against {percent(option.probability)})"
