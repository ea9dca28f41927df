"""What the rest of the table and of the payload says about one key and one column."""

from __future__ import annotations

from .edits import Edit
from .layout import Layout, Target
from .reading import OLD, Reading, Stems, share
from .shelves import places

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


def numbers(key: Reading, target: Target, change: Edit, layout: Layout, sent: tuple[float, float]) -> tuple[float, ...]:
    """In the order of ``SURROUNDINGS``, the first two of which are ``sent``."""
    column = target.reading
    if change.all:
        gone, come, come_share, gone_share, frame = key.stems, column.stems, column.shares[2], key.shares[2], -1.0
    else:
        gone, come = frozenset(key.name.stems[change.gone]), frozenset(column.name.stems[change.come])
        come_share, gone_share = share(column.qualifies[change.come], -1.0), share(key.qualifies[change.gone], -1.0)
        kept = key.stems - gone
        frame = float(min(6, (layout.all_of(kept) & ~(1 << target.place)).bit_count())) if kept else -1.0
    return (
        *sent,
        float(key.old and not column.old),
        float(key.old and bool(gone) and gone <= OLD),
        float(bool(gone and come) and _contrasted(gone, come, layout, target.place)),
        come_share,
        gone_share,
        frame,
        layout.size,
        float(key.of_owner),
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
