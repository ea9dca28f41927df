"""A scan as a table for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from healing.core.sources.cover import Function, Totals
from healing.core.sources.findings import Finding
from healing.core.types import Json
from healing.scan.scanning import Scan

_MOST = 200
"""findings in the table; JSON and SARIF have all."""
_HEADS = ("function", "state", "reads", "writes", "rpc", "AI", "direct", "wrong", "move")


def table(scan: Scan) -> str:
    """Summary, functions, order, findings."""
    return "\n".join([*_summary(scan.totals, scan.epoch), "", *_functions(scan), *_order(scan), *_findings(scan.findings)])


def as_json(scan: Scan) -> dict[str, Json]:
    """Everything but the calls themselves."""
    found: dict[str, Json] = msgspec.to_builtins(
        {"root": scan.root, "schema_version": scan.epoch or None, "totals": scan.totals, "functions": scan.functions, "order": scan.order}
    )
    found["totals"]["moved_share"] = round(scan.totals.share, 4)
    found["findings"] = [{"id": finding.id, **msgspec.to_builtins(finding)} for finding in scan.findings]
    return found


def _summary(found: Totals, epoch: int) -> Iterator[str]:
    share = f"{found.share:.0%}"
    yield f"{found.moved} of {found.moved + found.to_move} functions are moved ({share}); {found.nothing} have nothing to move."
    yield f"{found.calls} calls ({found.writes} writes, {found.ai} of AI services) in {found.functions} functions and what they share."
    against = f"Held against schema version {epoch}: " if epoch else "Not held against a schema: "
    yield f"{against}{_many(found.errors, 'error')}, {_many(found.warnings, 'warning')}, {_many(found.notes, 'note')}."


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def _functions(scan: Scan) -> list[str]:
    turn = {step.name: str(number) for number, step in enumerate(scan.order, 1)}
    rows = [_HEADS, *(_row(function, turn) for function in _sorted(scan, turn))]
    widths = [max(len(row[n]) for row in rows) for n in range(len(_HEADS))]
    return ["  ".join(_padded(cell, width, n) for n, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip() for row in rows]


def _sorted(scan: Scan, turn: dict[str, str]) -> list[Function]:
    return sorted(scan.functions, key=lambda f: (int(turn.get(f.name, "999999")), f.name))


def _padded(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column < 2 else cell.rjust(width)


def _row(function: Function, turn: dict[str, str]) -> tuple[str, ...]:
    numbers = (function.reads, function.writes, function.rpc, function.ai, function.direct, function.errors)
    return (function.name, str(function.state), *(str(n or "·") for n in numbers), turn.get(function.name, "·"))


def _order(scan: Scan) -> Iterator[str]:
    if scan.order:
        yield from ("", "Move first:")
    for number, step in enumerate(scan.order[:10], 1):
        yield f"{number:>3}. {step.name}: {'; '.join(step.why)}"


def _findings(found: tuple[Finding, ...]) -> Iterator[str]:
    if found:
        yield from ("", "What is wrong already:")
    for finding in found[:_MOST]:
        yield f"{finding.place}  {finding.level}  {finding.id} {finding.rule}"
        yield f"    {finding.message}" + (f"\n    fix: {finding.fix}" if finding.fix else "")
        yield from (f"    {mark} {line}" for mark, line in zip("-+", finding.diff or (), strict=False))
    if len(found) > _MOST:
        yield f"… and {len(found) - _MOST} more; --format json has all."
