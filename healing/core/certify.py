"""Policy ``certified``: when a proposal of the matcher may apply itself.

Proposals of one kind and one range of said probability are a bucket. A bucket is certified while the lower bound of its chance of
being right is at least 99.9 %, on what was decided about its proposals: by people (approved, rejected, something else chosen), by the
writers (a heal taken back, or called wrong), and by the labelled histories the model was trained on, each asked of a model that never
saw its project. One cause counts once. A single reversal ends the bucket: then no number of right ones brings it back.

Nothing else gets into a bucket: more than one operation, something said against it, a part of the misfits left open.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from healing.core.confidence import lower_bound
from healing.core.types import Json, Proposal

WANTED = 0.999
"""the chance of being right that the bound must reach."""
BELIEF = 0.95
"""how sure the bound is: the chance is above it with this probability (Beta posterior, uniform prior)."""
KINDS = ("rename_column", "map_value", "fill")
"""operations that move a value to where it was meant; the others lose or park something, or move a whole table."""
BANDS = (0.9, 0.97, 0.99)
"""where a range of said probability begins; below the first there is no bucket."""


class Tally(Struct, frozen=True):
    """What was decided about a bucket's proposals, one for each cause."""

    right: int = 0
    wrong: int = 0
    reversed: bool = False

    @property
    def bound(self) -> float:
        """The chance of being right is above this, with probability ``BELIEF``."""
        return lower_bound(self.right, self.wrong, BELIEF)

    @property
    def certified(self) -> bool:
        """Whether the bucket's proposals apply themselves under policy ``certified``."""
        return not self.reversed and self.bound >= WANTED

    def plus(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(self.right + other.right, self.wrong + other.wrong, self.reversed or other.reversed)


def needed(tally: Tally) -> int | None:
    """How many more right decisions certify the bucket, if no more wrong ones come; None: it is off for good.

    >>> needed(Tally()), needed(Tally(right=2000)), needed(Tally(right=5000, reversed=True))
    (2994, 994, None)
    """
    if tally.reversed:
        return None
    low, high = 0, 1
    while lower_bound(tally.right + high, tally.wrong, BELIEF) < WANTED:
        low, high = high, high * 2
    while low < high:
        middle = (low + high) // 2
        enough = lower_bound(tally.right + middle, tally.wrong, BELIEF) >= WANTED
        low, high = (low, middle) if enough else (middle + 1, high)
    return low


def bucket_of(proposal: Proposal, model: str) -> str:
    """The bucket of a proposal that a model made; '' where it may never apply itself. Another model's evidence says nothing of this
    one's, so its stamp is part of the name."""
    if len(proposal.fix) != 1 or proposal.fix[0]["op"] not in KINDS or proposal.evidence.get("against"):
        return ""
    begins = [low for low in BANDS if proposal.probability >= low]
    return f"{model}/{proposal.fix[0]['op']}/{begins[-1]:.2f}" if begins else ""


def marked(proposals: tuple[Proposal, ...], model: str) -> tuple[Proposal, ...]:
    """The proposals, the best of them with its bucket: that is what a decision about this cause says something of."""
    if not proposals or not (bucket := bucket_of(proposals[0], model)):
        return proposals
    return (replace(proposals[0], evidence={**proposals[0].evidence, "bucket": bucket}), *proposals[1:])


def tallies(trained: Mapping[str, tuple[int, int]], decided: Mapping[str, Tally], model: str) -> dict[str, Tally]:
    """All that is known of each bucket of a model: what its training showed (names without the stamp), and what was decided since."""
    found = {f"{model}/{name}": Tally(right, wrong) for name, (right, wrong) in trained.items()}
    for bucket, tally in decided.items():
        if bucket.startswith(f"{model}/"):
            found[bucket] = found.get(bucket, Tally()).plus(tally)
    return found


def said_bucket(evidence: Mapping[str, Json]) -> str:
    """The bucket that a stored proposal carries, or ''."""
    bucket = evidence.get("bucket")
    return bucket if isinstance(bucket, str) else ""
