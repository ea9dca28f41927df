"""What the caller's names mean today: live ones as they are, former ones by lineage.

Reads use a live name even where it was another column's once; a write asks ``Names.reused`` whether its filters did that.
"""

from __future__ import annotations

from collections.abc import Mapping

from healing.core.phrases import retired
from healing.gateway.errors import undefined_column, unknown_table
from schema_monitor.core.lineage import Lineage, Renamed, Retired, Reused
from schema_monitor.core.snapshot import Column, Relation, Snapshot

Heal = tuple[str, str, str]
"""kind (rename_column | rename_table | map_value), from, to."""


class Names:
    """Resolves names against one snapshot. With ``follow``, former names are followed where the lineage is exact, and each such
    step is recorded in ``healed``."""

    def __init__(self, snapshot: Snapshot, lineage: Lineage | None = None, follow: bool = True) -> None:
        self.snapshot = snapshot
        self.lineage = lineage if follow else None
        self.healed: list[Heal] = []
        self.reused: list[tuple[str, str]] = []
        """(table, column) of live names that formerly meant another living column, as met by ``column(…, careful=True)``."""
        self.used: dict[tuple[int, str], Relation] = {}
        """every column name that was asked for, as the caller wrote it (``*`` = all), by relation."""
        self.meant: dict[tuple[int, str], None] = {}
        """every live column that a name was resolved to: (oid of its relation, its name)."""
        self.called: dict[int, str] = {}
        """relations that were found by a former name."""
        self.old_labels: list[tuple[int, str]] = []
        """(oid of the enum, former label) of those that were followed."""
        self._sent: dict[tuple[int, str], str] = {}

    def with_sent(self, relation: Relation, asked: Mapping[str, str]) -> Names:
        """The same (and the same records) where payload keys were healed: ``asked`` maps live columns to the names that the
        caller sent, which then mean those columns in its ``select`` too."""
        names = Names(self.snapshot, self.lineage)
        names.healed, names.reused = self.healed, self.reused
        names.used, names.meant, names.called, names.old_labels = self.used, self.meant, self.called, self.old_labels
        names._sent = {(relation.oid, sent): live for live, sent in asked.items()}
        return names

    def relation(self, schema: str, name: str) -> Relation:
        """The relation of that name, or PGRST205."""
        found = self.find_relation(schema, name)
        if found is None:
            raise unknown_table(schema, name, self.hint_of_table(schema, name))
        return found

    def find_relation(self, schema: str, name: str) -> Relation | None:
        """The relation of that name in an exposed schema, if there is one."""
        live = self.snapshot.named(schema, name)
        if live:
            return live[0]
        match self.lineage and self.lineage.resolve_relation(self.snapshot, schema, name):
            case Renamed(Relation() as relation) if relation.schema == schema or self._exposes(relation):
                self._heal("rename_table", name, relation.name)
                self.called[relation.oid] = name
                return relation
        return None

    def use_all(self, relation: Relation) -> None:
        """All columns were asked for."""
        self.used[relation.oid, "*"] = relation

    def named(self, relation: Relation) -> tuple[str, ...]:
        """The names of ``used`` for one relation, in order of use."""
        return tuple([name for oid, name in self.used if oid == relation.oid])

    def column(self, relation: Relation, name: str, *, careful: bool = False) -> Column:
        """The column of that name, or Postgres's 42703. ``careful`` notes reused names."""
        found = self.find_column(relation, name, careful=careful)
        if found is None:
            raise undefined_column(relation.name, name, self.hint(relation, name))
        return found

    def hint(self, relation: Relation, name: str) -> str | None:
        """What a column is called now, where the name that was sent is retired."""
        match self.lineage and self.lineage.resolve_column(relation, name):
            case Retired(Column() as column):
                return retired(name, column.name)
        return None

    def hint_of_table(self, schema: str, name: str) -> str | None:
        """The same of a table."""
        match self.lineage and self.lineage.resolve_relation(self.snapshot, schema, name):
            case Retired(Relation() as relation):
                return retired(name, relation.name)
        return None

    def find_column(self, relation: Relation, name: str, *, careful: bool = False) -> Column | None:
        """The column of that name, if there is one."""
        self.used[relation.oid, name] = relation
        found = self._find(relation, name, careful)
        if found is not None:
            self.meant[relation.oid, found.name] = None
        return found

    def _find(self, relation: Relation, name: str, careful: bool) -> Column | None:
        live = relation.column(name)
        if live is not None and not careful:
            return live
        if live is None and (relation.oid, name) in self._sent:
            return relation.column(self._sent[relation.oid, name])
        match self.lineage and self.lineage.resolve_column(relation, name):
            case Renamed(Column() as column):
                self._heal("rename_column", name, column.name)
                return column
            case Reused():
                self.reused.append((relation.name, name))
        return live

    def label(self, column: Column, value: str) -> str:
        """The enum label that ``value`` means in that column; ``value`` itself where nothing better is known."""
        enum = self.snapshot.enums.get(column.enum) if column.enum is not None else None
        if enum is None or self.lineage is None or any(label.name == value for label in enum.labels):
            return value
        match self.lineage.resolve_label(enum, value):
            case Renamed(label):
                self._heal("map_value", value, label.name)
                self.old_labels.append((enum.oid, value))
                return label.name
        return value

    def _exposes(self, relation: Relation) -> bool:
        """Whether the snapshot says so itself; a snapshot that does not know is not trusted with it."""
        return bool(self.snapshot.exposed) and self.snapshot.serves(relation)

    def _heal(self, kind: str, was: str, now: str) -> None:
        if (kind, was, now) not in self.healed:
            self.healed.append((kind, was, now))
