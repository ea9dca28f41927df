"""When a web process looks for garbage in circles: rarely, and never in what start-up left.

Reference counts free nearly everything at once. By default Python looks for circles after every 700 new objects, and each request under
way adds hundreds: with 1,000 at once that took a third of the processor's time. Source: ``gc`` in Python's manual.
"""

from __future__ import annotations

import gc

NEW_OBJECTS, YOUNG_ROUNDS, OLD_ROUNDS = 20_000, 20, 50
"""Net new containers before the youngest are looked at (one or two milliseconds), and rounds before the older ones are."""


def settle() -> None:
    """Leaves what is there now out of every later look. Called when everything is loaded; calling it again does no harm."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS, YOUNG_ROUNDS, OLD_ROUNDS)
