"""What may be wrong in a source file: a closed list with ids, so that a finding means the same in the table, in JSON and in SARIF."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct, field

from healing.core.sources.calls import Place
from healing.core.types import Json


class Level(StrEnum):
    """How bad, in SARIF's words."""

    ERROR = "error"
    """the database refuses the call, always."""
    WARNING = "warning"
    """it is refused in some cases, or lands only because the gateway mends it."""
    NOTE = "note"
    """it lands, but not as it was meant."""


class Rule(Struct, frozen=True):
    """One kind of finding. ``id`` is fixed for ever; ``code`` is what the database answers."""

    id: str
    name: str
    level: Level
    says: str
    code: str = ""


RULES: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule("MGS001", "unknown-table", Level.ERROR, "There is no table or view of that name.", "PGRST205"),
        Rule("MGS002", "unknown-column", Level.ERROR, "The payload has a key that the table has no column for.", "PGRST204"),
        Rule("MGS003", "missing-required", Level.ERROR, "A column that must have a value gets none.", "23502"),
        Rule("MGS004", "wrong-type", Level.ERROR, "The column's type does not take the value.", "22P02"),
        Rule("MGS005", "unknown-label", Level.ERROR, "The enum or check list does not have the value.", "22P02, 23514"),
        Rule("MGS006", "out-of-range", Level.ERROR, "The value is too large or too long for the column.", "22003, 22001"),
        Rule("MGS007", "generated-column", Level.ERROR, "The database computes that column itself.", "428C9"),
        Rule("MGS008", "null-value", Level.ERROR, "A column that must have a value is given null.", "23502"),
        Rule("MGS009", "renamed", Level.WARNING, "The name is a former one: it works through the gateway only.", "PGRST204"),
        Rule("MGS010", "reused-name", Level.WARNING, "The name formerly meant another column than it does now."),
        Rule(
            "MGS011", "unknown-column-read", Level.ERROR, "A filter, an order or a select list names a column that is not there.", "42703"
        ),
        Rule("MGS012", "unknown-relationship", Level.ERROR, "No foreign key links the embedded table.", "PGRST200, PGRST201"),
        Rule("MGS013", "conflict-target", Level.ERROR, "No unique index covers exactly the columns of onConflict.", "42P10"),
        Rule("MGS014", "unknown-function", Level.ERROR, "No database function of that name takes these arguments.", "PGRST202, PGRST203"),
        Rule("MGS015", "changed-value", Level.NOTE, "Postgres takes the value and stores a different one."),
        Rule("MGS016", "bad-select", Level.ERROR, "The select list cannot be read.", "PGRST100"),
        Rule("MGS017", "maybe-null", Level.NOTE, "A column that must have a value may be given null here.", "23502"),
        Rule("MGS018", "not-readable", Level.WARNING, "The file is not valid TypeScript: what stands there is not judged."),
    )
}


class Finding(Struct, frozen=True):
    """One thing that is wrong at one place. ``message`` says what, ``fix`` what to write instead ('' where we don't know)."""

    rule: str
    """a key of ``RULES``."""
    level: Level
    place: Place
    message: str
    fix: str = ""
    table: str = ""
    column: str = ""
    ops: tuple[dict[str, Json], ...] = field(default=())
    """the fix in the language of healing, where it is one."""
    diff: tuple[str, str] | None = None
    """the line as it is and as it would be, where the fix can be written down."""

    @property
    def id(self) -> str:
        """As SARIF and the reference name it."""
        return RULES[self.rule].id


def found(rule: str, place: Place, message: str, **more: object) -> Finding:
    """A finding at its rule's level, or at a lower one where it is given."""
    return Finding(rule=rule, level=more.pop("level", RULES[rule].level), place=place, message=message, **more)  # type: ignore[arg-type]
