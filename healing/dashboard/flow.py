"""What became of every write, as a flow from left to right: sent, what was done, where it ended. Counts and geometry. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from metrics.core.figures import Figures

WIDTH, HEIGHT, TOP = 1000.0, 330.0, 14.0
SENT, DONE, END = 110.0, 400.0, 800.0
BAR = 14.0
LEAST, ROW = 3.0, 30.0
"""A stage is seen however rare it is, and has room for its words."""
SOURCES = {
    "lineage": "healed: rename followed", "builtin": "healed: coerced, lossless", "rule": "healed: approved rule",
    "matcher": "healed: certified", "ai": "healed: AI, proven",
}  # fmt: skip
_RULES = ("person", "learned")
_COLOURS = {"healthy": "good", "kept": "warn", "refused": "quiet", "failed": "bad", "ai": "ai"}


class Stage(Struct, frozen=True):
    """So many writes of one fate. ``end``: stored, waiting or away."""

    name: str
    words: str
    count: int
    end: str
    colour: str


class Box(Struct, frozen=True):
    """A stage as drawn; ``path`` leads to it, ``onward`` from it to its end."""

    name: str
    words: str
    count: int
    share: float
    colour: str
    x: float
    y: float
    height: float
    middle: float
    path: str = ""
    onward: str = ""


class Picture(Struct, frozen=True):
    """``boxes`` in the middle, ``ends`` on the right, ``sent`` on the left."""

    total: int
    sent: Box
    boxes: tuple[Box, ...]
    ends: tuple[Box, ...]
    width: float
    height: float


def stages(figures: Figures) -> list[Stage]:
    """What became of the writes, in the order they are drawn; each write is in exactly one, stages without any are left out. What was
    kept and landed later was among the kept: no more than those."""
    by = {outcome: round(count) for (outcome,), count in figures.by("mendgate_writes_total", "outcome").items()}
    landed = min(by.get("kept", 0), round(figures.total("mendgate_replays_total", outcome="landed")))
    found = [Stage("healthy", "healthy, stored as sent", by.get("healthy", 0), "stored", "good")]
    found += [Stage(s, SOURCES[s], n, "stored", _COLOURS.get(s, "heal")) for s, n in healed_by(figures, by.get("healed", 0)).items()]
    found += [
        Stage("landed", "kept, landed later", landed, "stored", "heal"),
        Stage("kept", "kept safe, waiting", by.get("kept", 0) - landed, "waiting", "warn"),
        Stage("refused", "refused: the caller knows", by.get("refused", 0), "away", "quiet"),
        Stage("failed", "failed: the caller knows", by.get("failed", 0), "away", "bad"),
    ]
    return [stage for stage in found if stage.count]


def healed_by(figures: Figures, healed: int) -> dict[str, int]:
    """The healed writes by the source of their fix. A write with fixes of two sources is shared out in proportion: the parts are whole
    and add up."""
    weights: dict[str, float] = {}
    for (source,), count in figures.by("mendgate_heals_total", "source").items():
        name = "rule" if source in _RULES else source if source in SOURCES else "rule"
        weights[name] = weights.get(name, 0.0) + count
    whole = sum(weights.values())
    if not whole:
        return {"rule": healed} if healed else {}
    exact = {name: healed * weight / whole for name, weight in weights.items()}
    found = {name: int(part) for name, part in exact.items()}
    for name in sorted(exact, key=lambda n: found[n] - exact[n])[: healed - sum(found.values())]:
        found[name] += 1
    return {name: found[name] for name in SOURCES if found.get(name)}


def draw(found: Sequence[Stage]) -> Picture:
    """The picture of these stages (at least one)."""
    total = sum(stage.count for stage in found)
    gap = 12.0
    space = HEIGHT - 2 * TOP
    scale = max(20.0, space - sum(max(ROW, LEAST + gap) for _ in found)) / total
    heights = [max(LEAST, stage.count * scale) for stage in found]
    rows = [max(ROW, height + gap) for height in heights]
    squeeze = min(1.0, space / sum(rows))
    left = _left(heights)
    boxes, ends, y = [], _ends(found, heights), TOP + (space - sum(rows) * squeeze) / 2
    inflow = left.y
    slots = {end.name: end.y for end in ends}
    for stage, height, row in zip(found, heights, rows, strict=True):
        top = y + (row * squeeze - height) / 2
        boxes.append(_box(stage, total, top, height, inflow, slots[stage.end]))
        inflow += height
        slots[stage.end] += height
        y += row * squeeze
    return Picture(total, replace(left, count=total), tuple(boxes), tuple(ends), WIDTH, HEIGHT)


def _box(stage: Stage, total: int, top: float, height: float, inflow: float, slot: float) -> Box:
    return Box(
        stage.name, stage.words, stage.count, stage.count / total, stage.colour, DONE, round(top, 1), round(height, 1),
        round(top + height / 2, 1),
        _ribbon(SENT + BAR, inflow, DONE, top, height), _ribbon(DONE + BAR, top, END, slot, height),
    )  # fmt: skip


def _left(heights: Sequence[float]) -> Box:
    height = sum(heights)
    top = (HEIGHT - height) / 2
    return Box("sent", "sent", 0, 1.0, "sent", SENT, round(top, 1), round(height, 1), round(HEIGHT / 2, 1))


def _ends(found: Sequence[Stage], heights: Sequence[float]) -> list[Box]:
    words = {"stored": ("stored", "good"), "waiting": ("waiting", "warn"), "away": ("not stored", "quiet")}
    total = sum(stage.count for stage in found)
    there = [name for name in words if any(stage.end == name for stage in found)]
    sizes = {name: sum(h for stage, h in zip(found, heights, strict=True) if stage.end == name) for name in there}
    counts = {name: sum(stage.count for stage in found if stage.end == name) for name in there}
    gap = 34.0
    y = (HEIGHT - sum(sizes.values()) - gap * (len(there) - 1)) / 2
    boxes = []
    for name in there:
        word, colour = words[name]
        size = sizes[name]
        boxes.append(Box(name, word, counts[name], counts[name] / total, colour, END, round(y, 1), round(size, 1), round(y + size / 2, 1)))
        y += size + gap
    return boxes


def _ribbon(x1: float, y1: float, x2: float, y2: float, height: float) -> str:
    """A band of that height from one place to another."""
    bend = (x1 + x2) / 2
    a, b, c, d = (f"{value:.1f}" for value in (y1, y2, y2 + height, y1 + height))
    return f"M{x1} {a}C{bend} {a} {bend} {b} {x2} {b}V{c}C{bend} {c} {bend} {d} {x1} {d}Z"
