"""What a project's own generated types say of its live schema: an independent judge of what the scanner says. Read by their shape."""

from __future__ import annotations

import re
from pathlib import Path

from msgspec import Struct, field

from healing.core.sources.findings import Finding
from schema_monitor.core.snapshot import Snapshot

_SECTION = re.compile(r"    (Tables|Views|Functions|Enums|CompositeTypes): \{")
_ENTRY = re.compile(r'      "?(\w+)"?:')
_PART = re.compile(r"        (Row|Insert|Update|Relationships):")
_FIELD = re.compile(r'          "?([\w-]+)"?(\??):')


class Known(Struct):
    """Columns and required columns by table, and the names of functions."""

    columns: dict[str, set[str]] = field(default_factory=dict)
    required: dict[str, set[str]] = field(default_factory=dict)
    functions: set[str] = field(default_factory=set)


def read(path: Path) -> Known:
    """The ``public`` schema of a generated file."""
    body = path.read_bytes()
    text = body.decode("utf-16" if body[:2] == b"\xff\xfe" else "utf-8", errors="replace")
    known, section, table, part = Known(), "", "", ""
    for line in text[max(0, text.find("  public: {")) :].splitlines():
        if line.startswith("  }") and line[2:3] == "}":
            return known
        if found := _SECTION.match(line):
            section, table = found.group(1), ""
        elif (found := _ENTRY.match(line)) and section == "Functions":
            known.functions.add(found.group(1))
        elif found and section in ("Tables", "Views"):
            table = found.group(1)
            known.columns[table], known.required[table] = set(), set()
        elif found := _PART.match(line):
            part = found.group(1)
        elif table and (found := _FIELD.match(line)):
            if part == "Row":
                known.columns[table].add(found.group(1))
            elif part == "Insert" and not found.group(2):
                known.required[table].add(found.group(1))
    return known


def verdict(finding: Finding, known: Known, built: Snapshot) -> str:
    """right | wrong | unsettled (the types do not say) | not built (our copy of the schema is not the live one there)."""
    table = finding.table
    if finding.rule == "unknown-table":
        return "not built" if table in known.columns else "right"
    if finding.rule == "unknown-function":
        missing = not any(f.name == table for f in built.functions.values())
        return ("not built" if table in known.functions else "right") if missing else "unsettled"
    relation = next(iter(built.named("public", table)), None)
    if relation is None or {column.name for column in relation.columns} != known.columns.get(table):
        return "not built"
    if finding.rule in ("unknown-column", "unknown-column-read"):
        return "right" if finding.column not in known.columns[table] else "wrong"
    if finding.rule == "missing-required":
        return "right" if finding.column in known.required[table] else "wrong"
    return "unsettled"
