"""One column for each key at most, and one key for each column: the most likely whole, not the best of each."""

from __future__ import annotations

from math import log

Weights = dict[str, dict[str, float]]
"""key -> column -> probability"""

_MOST_NODES = 4_000
_WITHOUT = (-2.5, "")
"""What leaving a key without a column gains: so little that an unlikely column is still named as the best there is."""


def assign(weights: Weights) -> dict[str, str]:
    """The assignment with the highest likelihood; a key may stay without. Exact for what payloads look like (branch and bound), and
    after a bounded search the best one seen."""
    choices = {key: _choices(row) for key, row in weights.items()}
    picked = {key: row[0][1] for key, row in choices.items() if row and row[0][1]}
    if len(set(picked.values())) == len(picked):
        return picked
    order = sorted(choices, key=lambda k: -choices[k][0][0])
    return _search(order, choices)


def _choices(row: dict[str, float]) -> list[tuple[float, str]]:
    """Gains over leaving the key without, best first; the last is to leave it."""
    none = max(1.0 - sum(row.values()), 0.02)
    gains = [(log(max(p, 1e-6) / none), column) for column, p in row.items()]
    likely = sorted([g for g in gains if g[0] > _WITHOUT[0]], key=lambda g: -g[0])[:5]
    return [*likely, _WITHOUT]


def _search(order: list[str], choices: dict[str, list[tuple[float, str]]]) -> dict[str, str]:
    ceiling = [0.0] * (len(order) + 1)
    for i in range(len(order) - 1, -1, -1):
        ceiling[i] = ceiling[i + 1] + choices[order[i]][0][0]
    best: tuple[float, dict[str, str]] = (float("-inf"), {})
    stack: list[tuple[int, float, dict[str, str]]] = [(0, 0.0, {})]
    for _ in range(_MOST_NODES):
        if not stack:
            break
        i, gain, taken = stack.pop()
        if gain + ceiling[i] <= best[0]:
            continue
        if i == len(order):
            best = (gain, taken)
            continue
        for more, column in reversed(choices[order[i]]):
            if not column or column not in taken.values():
                stack.append((i + 1, gain + more, {**taken, order[i]: column} if column else taken))
    return best[1]
