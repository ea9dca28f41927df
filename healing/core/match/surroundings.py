"""What the rest of the table and of the payload says about one key and one column."""

from __future__ import annotations

from math import log2

from .edits import Edit
from .layout import Layout, Target, places
from .reading import OLD, Reading, Stems

SURROUNDINGS = (
    "sent_share",
    "sent",
    "obsolete_key",
    "only_obsolete_gone",
    "contrast",
    "qualifiers_come",
    "qualifiers_gone",
    "frame",
    "columns",
    "key_names_table",
    "both_say_who",
)


def numbers(key: Reading, target: Target, change: Edit, layout: Layout, sent: int) -> tuple[float, ...]:
    """In the order of ``SURROUNDINGS``; ``sent`` live columns are in the payload."""
    column, count = target.reading, len(layout.names)
    gone, come = frozenset(key.name.stems[change.gone]), frozenset(column.name.stems[change.come])
    kept = key.stems - gone
    return (
        sent / count,
        float(min(sent, 20)),
        float(key.old and not column.old),
        float(bool(gone) and gone <= OLD),
        float(bool(gone and come) and _contrasted(gone, come, layout, target.place)),
        _share(column.qualifies[change.come]),
        _share(key.qualifies[change.gone]),
        float(min(6, (layout.all_of(kept) & ~(1 << target.place)).bit_count())) if kept else -1.0,
        log2(count),
        float(not key.stems.isdisjoint(layout.owner.stems)),
        float(key.who and column.who),
    )


def _contrasted(gone: Stems, come: Stems, layout: Layout, place: int) -> bool:
    """The table itself holds two columns that differ in just these words: it uses them for two things."""
    having = layout.all_of(gone)
    if not having:
        return False
    frames = {layout.readings[i].stems - gone for i in places(having)}
    others = places(layout.all_of(come) & ~(1 << place))
    return any(rest in frames for i in others if (rest := layout.readings[i].stems - come))


def _share(qualify: tuple[bool, ...]) -> float:
    """Share of qualifying words; -1 where there are none."""
    return sum(qualify) / len(qualify) if qualify else -1.0
