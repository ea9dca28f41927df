"""What this process read by itself of relations and enums, and what it saw of their names; put over stored versions that are older."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec.structs import replace

from healing.gateway.state import State
from schema_monitor.core.lineage import Seen, Sighting
from schema_monitor.core.snapshot import EnumType, Relation

_MOST_SIGHTINGS = 500


class Learned:
    """Relations and enums as they were read in band, each with the horizon of the look that said so."""

    def __init__(self) -> None:
        self._sightings: list[Seen] = []
        self._relations: dict[int, tuple[int, Relation | None]] = {}
        self._enums: dict[int, tuple[int, EnumType]] = {}

    def saw(self, *seen: Seen) -> None:
        """Names that were seen."""
        self._sightings = [*self._sightings, *seen][-_MOST_SIGHTINGS:]

    def learn(
        self, state: State, found: Mapping[int, Relation | None], enums: tuple[EnumType, ...], seen: Iterable[Seen], horizon: int
    ) -> tuple[State, list[Seen]]:
        """The state with relations (None = gone) and enums as a look found them, and what that and the log tell of their names."""
        old = state
        for oid, relation in found.items():
            state = state.with_found(oid, relation)
            self._relations[oid] = (horizon, relation)
        state = state.with_enums(enums)
        self._enums |= {enum.oid: (horizon, enum) for enum in enums}
        known = old.snapshot.relations
        told = [*seen, *(Sighting.of(old.snapshot.scope, known[oid]) for oid in found if oid in known and known[oid] != found[oid])]
        lineage = state.lineage.recall(told, state.snapshot)
        return state if lineage == state.lineage else replace(state, lineage=lineage, vets={}, settled={}), told

    def over(self, state: State) -> tuple[State, Iterable[int]]:
        """A stored version with what was learned since, and the oids of which that is; a look from a later horizon than the version's is
        surely newer, one from the same may be."""
        version = state.snapshot.horizon
        self._relations = {oid: (horizon, found) for oid, (horizon, found) in self._relations.items() if horizon >= version}
        self._enums = {oid: (horizon, enum) for oid, (horizon, enum) in self._enums.items() if horizon >= version}
        for oid, (_, found) in self._relations.items():
            state = state.with_found(oid, found)
        state = state.with_enums(tuple(enum for _, enum in self._enums.values()))
        return replace(state, lineage=state.lineage.recall(self._sightings, state.snapshot)), self._relations
