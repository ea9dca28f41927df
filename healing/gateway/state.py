"""What a gateway process knows, as one immutable value swapped whole: schema and lineage, rules, policies, keys.

``keeper`` puts the next one in force.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from healing.core.rulebook import Rulebook, rulebook
from healing.core.types import Healing, Rule
from healing.core.vet import Vet, compile_vet
from healing.gateway.auth import Key
from healing.gateway.certified import NOTHING, Certificate
from healing.gateway.settled import Settled
from schema_monitor.core.lineage import Lineage, Renamed
from schema_monitor.core.snapshot import EnumType, Relation, Snapshot

_EMPTY = rulebook(())


class Policy(Struct, frozen=True):
    """What may be done to a write."""

    healing: Healing = Healing.APPROVED
    accept: bool = False
    strict: bool = False
    allow_tx_rollback: bool = False


class State(Struct, frozen=True):
    """Immutable; ``vets`` is a cache by relation fingerprint and oid, filled on first use."""

    epoch: int
    snapshot: Snapshot
    lineage: Lineage
    listed: Sequence[Rule] = ()
    """all rules, as they were loaded."""
    rules: dict[tuple[str, str], tuple[Rule, ...]] = field(default_factory=dict)
    """the same by schema and table."""
    bound: dict[int, tuple[Rule, ...]] = field(default_factory=dict)
    """the same by the oid of the relation they were approved for."""
    policies: dict[tuple[str, str, str | None], Policy] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)
    certificate: Certificate = NOTHING
    former: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    """columns of tables, by schema and name, as they were in the database that was served before this one (restored, branched): there
    lineage ends, and callers may not know it."""
    vets: dict[int, Vet] = field(default_factory=dict)
    settled: dict[object, Settled | None] = field(default_factory=dict)
    """what inserts of known shapes need, filled on first use; as true as this state is."""
    serving: dict[tuple[int, str], tuple[Relation, Rulebook]] = field(default_factory=dict)
    """the rules for a relation (by oid) and an operation, and the relation as it was when they were found; filled on first use."""
    doubts: frozenset[str] = frozenset()
    """callers for whom some rule is not used."""

    def vet(self, relation: Relation) -> Vet:
        """The compiled vet of a relation."""
        found = self.vets.get(relation.oid)
        if found is None:
            found = self.vets[relation.oid] = compile_vet(relation, self.snapshot, self.lineage)
        return found

    def policy(self, schema: str, table: str, key: str | None) -> Policy:
        """The most specific policy: key and table, table, key, everywhere. A former name means the table that had it."""
        tables = [table, ""]
        if not self.snapshot.named(schema, table):
            match self.lineage.resolve_relation(self.snapshot, schema, table):
                case Renamed(Relation() as relation) if relation.schema == schema:
                    tables.insert(0, relation.name)
        for name in tables if self.policies else ():
            for place in ((schema, name, key), ("", name, key), (schema, name, None), ("", name, None)):
                if (found := self.policies.get(place)) is not None:
                    return found
        return Policy()

    def former_columns(self, relation: Relation | None) -> tuple[str, ...] | None:
        """The columns that a relation had in the database that was served before; None where nothing is known."""
        return None if relation is None else self.former.get((relation.schema, relation.name))

    def rules_for(self, relation: Relation, operation: str, identity: str = "") -> tuple[Rule, ...]:
        """Active rules for a live relation and a caller, the table's own before the schema's. A rule whose names have come to mean other
        columns than those that were approved does not count; one that was approved for this table does, whatever the table is called."""
        found = self.rulebook_for(relation, operation).rules
        return tuple([rule for rule in found if identity not in rule.doubted_by]) if identity in self.doubts else found

    def rulebook_for(self, relation: Relation, operation: str) -> Rulebook:
        """The same for callers who doubt none, by what they answer."""
        if not self.rules:
            return _EMPTY
        known, found = self.serving.get((relation.oid, operation), (None, _EMPTY))
        if known is not relation:
            found = rulebook(self._rules_for(relation, operation))
            self.serving[relation.oid, operation] = relation, found
        return found

    def _rules_for(self, relation: Relation, operation: str) -> tuple[Rule, ...]:
        own = self.bound.get(relation.oid, ()) + self.rules.get((relation.schema, relation.name), ())
        found = {rule.id: rule for rule in own + self.rules.get((relation.schema, ""), ())}
        return tuple([rule for rule in found.values() if rule.operation in ("", operation) and rule.binds(relation)])

    def table_rules(self, schema: str, table: str, operation: str, identity: str = "") -> tuple[Rule, ...]:
        """Active rules for a name that no relation has."""
        return tuple(rule for rule in self.rules.get((schema, table), ()) if rule.serves(operation, identity))

    def with_version(self, epoch: int, snapshot: Snapshot, lineage: Lineage) -> State:
        """The state after a version of the schema, or a whole reading of the target, took the place of the one before."""
        before = former_of(self, snapshot)
        return replace(self, epoch=epoch, snapshot=snapshot, lineage=lineage, former=before, vets={}, settled={})

    def with_relation(self, old: Relation | None, new: Relation) -> State:
        """The state after one relation was read again."""
        relations = {**self.snapshot.relations, new.oid: new}
        snapshot = replace(self.snapshot, relations=relations)
        return replace(self, snapshot=snapshot, lineage=self.lineage.advance_relation(old, new), vets={}, settled={})

    def with_enums(self, enums: tuple[EnumType, ...]) -> State:
        """The state after enums were read again; the same state where that is no news."""
        if all(self.snapshot.enums.get(enum.oid) == enum for enum in enums):
            return self
        snapshot = replace(self.snapshot, enums={**self.snapshot.enums, **{enum.oid: enum for enum in enums}})
        return replace(self, snapshot=snapshot, lineage=self.lineage.advance(self.snapshot, snapshot), vets={}, settled={})

    def with_found(self, oid: int, found: Relation | None) -> State:
        """The state after a relation was read by its identity: as it is, or gone; the same state where that is no news. One that is
        neither served nor referred to stays unknown."""
        known = self.snapshot.relations.get(oid)
        if found == known or (found is not None and known is None and not self.snapshot.serves(found)):
            return self
        return self.without_relation(oid) if found is None else self.with_relation(known, found)

    def without_relation(self, oid: int) -> State:
        """The state after a relation turned out to be gone."""
        relations = {key: value for key, value in self.snapshot.relations.items() if key != oid}
        return replace(self, snapshot=replace(self.snapshot, relations=relations), vets={}, settled={})


def former_of(old: State, new: Snapshot) -> dict[tuple[str, str], tuple[str, ...]]:
    """What is to be remembered of the old database once another is served; what is known already, while it is the same."""
    if new.scope == old.snapshot.scope:
        return old.former
    now = {(r.schema, r.name): tuple(c.name for c in r.columns) for r in new.relations.values()}
    before = {(r.schema, r.name): tuple(c.name for c in r.columns) for r in old.snapshot.relations.values()}
    return {place: columns for place, columns in before.items() if place in now and not {*columns} <= {*now[place]}}
