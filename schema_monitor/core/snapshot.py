"""What the target's catalog looked like at one moment, as immutable values keyed by catalog identity.

Identity is what survives a rename: ``pg_class.oid`` for relations, ``(oid, attnum)`` for columns, ``pg_enum.oid`` for
labels. Names are only attributes of these. Everything here is a ``msgspec.Struct``: frozen, comparable, and
convertible to and from JSON with ``msgspec.json`` (that is how versions are stored). The smallest hold texts and numbers only, so
the garbage collector need not look at them (``gc=False``): there may be a hundred thousand.
"""

from __future__ import annotations

from functools import cached_property

from msgspec import Struct


class Scope(Struct, frozen=True):
    """Where oids mean something: one database of one cluster. A restored copy has another scope."""

    system_identifier: str
    database_oid: int


class Column(Struct, frozen=True, omit_defaults=True, gc=False):
    """One live column. ``type`` is what ``format_type`` says and is valid SQL (``character varying(64)``, ``"Mood"``)."""

    attnum: int
    name: str
    type: str
    base: str
    """``typname`` below domains and arrays: int2 int4 int8 float4 float8 numeric bool text varchar bpchar uuid json jsonb
    date time timetz timestamp timestamptz interval bytea inet ...; for enums and composites their own name."""
    nullable: bool = True
    array: bool = False
    enum: int | None = None
    """oid of the enum type (element type for arrays) where it is one."""
    length: int | None = None
    """n of varchar(n) and char(n)."""
    precision: int | None = None
    scale: int | None = None
    """of numeric(p,s); for time and timestamp types ``precision`` is the fractional digits, where declared."""
    default: str | None = None
    generated: str = ""
    """'' | 's' stored | 'v' virtual."""
    identity: str = ""
    """'' | 'a' always | 'd' by default."""
    domain: str | None = None
    comment: str | None = None


class Constraint(Struct, frozen=True, omit_defaults=True, gc=False):
    """A table constraint. ``kind``: p primary key, u unique, f foreign key, c check, x exclusion, n not null."""

    oid: int
    name: str
    kind: str
    columns: tuple[int, ...] = ()
    """attnums, in key order."""
    definition: str = ""
    references: int | None = None
    referenced_columns: tuple[int, ...] = ()
    allowed: tuple[str, ...] | None = None
    """the text literals of a check of the form ``column in (…)``, when it is one."""


class Index(Struct, frozen=True, omit_defaults=True, gc=False):
    """An index. Those that ``ON CONFLICT`` could use have no ``definition``: the columns say it all."""

    oid: int
    name: str
    columns: tuple[int, ...]
    partial: bool = False
    definition: str = ""


class AlsoRun(Struct, frozen=True, omit_defaults=True, gc=False):
    """Something that a write to a relation runs and that stands in no other field: a rule; a trigger, or an expression that may ask for
    the request's headers, of a partition, an heir, or a table that follows its keys (ON UPDATE CASCADE ...); a check of a domain
    inside of a type."""

    what: str
    inserts: bool = False
    """An INSERT runs it."""
    updates: bool = False


class Relation(Struct, frozen=True, omit_defaults=True, dict=True):
    """A table (r), partitioned table (p), view (v), materialized view (m) or foreign table (f), with its live columns
    in attnum order."""

    oid: int
    schema: str
    name: str
    kind: str
    columns: tuple[Column, ...]
    constraints: tuple[Constraint, ...] = ()
    unique_indexes: tuple[Index, ...] = ()
    """those that ``ON CONFLICT`` could use, constraint or not."""
    indexes: tuple[Index, ...] = ()
    """the others that belong to no constraint. They decide about speed, and (unique ones on expressions) about which rows fit."""
    insertable: bool = True
    updatable: bool = True
    deletable: bool = True
    row_security: bool = False
    force_row_security: bool = False
    policies: tuple[str, ...] = ()
    """one readable line a policy."""
    triggers: tuple[str, ...] = ()
    """definitions of user triggers."""
    has_before_triggers: bool = False
    runs_also: tuple[AlsoRun, ...] = ()
    view_columns: tuple[tuple[int, int, int], ...] = ()
    """for views: (attnum here, relation oid, attnum there), where it is a plain column of that relation. The relation may
    be a view itself: ``Snapshot.origin`` follows to the table."""
    acl: str = ""
    comment: str | None = None
    fingerprint: str = ""
    """hex digest over all of the above; equal fingerprints mean an equal relation. See ``shape``."""

    @cached_property
    def _by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.columns}

    @cached_property
    def _by_attnum(self) -> dict[int, Column]:
        return {column.attnum: column for column in self.columns}

    def column(self, name: str) -> Column | None:
        """The live column of that name."""
        return self._by_name.get(name)

    def by_attnum(self, attnum: int) -> Column | None:
        """The live column with that identity."""
        return self._by_attnum.get(attnum)

    @property
    def shape(self) -> str:
        """The part of the fingerprint that stays when only rights, policies or comments change: the key for caches of
        what depends on columns, constraints and triggers alone."""
        return self.fingerprint[:48]

    @property
    def primary_key(self) -> tuple[str, ...]:
        """Names of the primary key's columns in key order; empty where there is none."""
        for constraint in self.constraints:
            if constraint.kind == "p":
                return tuple(c.name for n in constraint.columns if (c := self.by_attnum(n)) is not None)
        return ()


class EnumLabel(Struct, frozen=True, gc=False):
    """One label; ``oid`` survives ALTER TYPE … RENAME VALUE."""

    oid: int
    name: str


class EnumType(Struct, frozen=True):
    """An enum type with its labels in sort order."""

    oid: int
    schema: str
    name: str
    labels: tuple[EnumLabel, ...]


class Argument(Struct, frozen=True, omit_defaults=True, gc=False):
    """One argument of a function. ``mode``: i in, o out, b inout, v variadic, t table."""

    name: str
    type: str
    base: str = ""
    mode: str = "i"
    has_default: bool = False


class Function(Struct, frozen=True, omit_defaults=True):
    """A function that /rpc could call."""

    oid: int
    schema: str
    name: str
    arguments: tuple[Argument, ...]
    returns: str
    """format_type of the result; 'void', 'record', 'trigger' …"""
    returns_set: bool = False
    returns_relation: int | None = None
    """oid of the relation whose row type is returned, where it is one."""
    returns_composite: bool = False
    volatility: str = "v"
    """i immutable, s stable, v volatile."""


class Snapshot(Struct, frozen=True, dict=True):
    """The catalog at one moment: relations, enums and functions of the exposed schemas, and what they refer to elsewhere
    (targets of foreign keys, tables under views, enums); those are there to be known, not to be served."""

    scope: Scope
    server_version: int
    """server_version_num, e.g. 180004."""
    relations: dict[int, Relation]
    enums: dict[int, EnumType]
    functions: dict[int, Function]
    fingerprint: str = ""
    exposed: tuple[str, ...] = ()
    """the schemas that were asked for; () = any schema counts as exposed."""
    horizon: int = 0
    """an xid8: what transactions below it did is in here; 0 = not known. No part of the fingerprint."""
    monitor: str = ""
    """our own event triggers: on, disabled, dropped; '' = not installed, or not known."""

    @cached_property
    def _by_name(self) -> dict[tuple[str, str], tuple[Relation, ...]]:
        names: dict[tuple[str, str], tuple[Relation, ...]] = {(r.schema, r.name): (r,) for r in self.relations.values()}
        if len(names) == len(self.relations):  # always, in a snapshot as read
            return names
        names = {}
        for relation in self.relations.values():
            key = (relation.schema, relation.name)
            names[key] = (*names.get(key, ()), relation)
        return names

    def named(self, schema: str, name: str) -> tuple[Relation, ...]:
        """The relations of that name: one or none in a snapshot as read; several only where one was patched in later."""
        return self._by_name.get((schema, name), ())

    def serves(self, relation: Relation) -> bool:
        """Whether it lies in an exposed schema."""
        return not self.exposed or relation.schema in self.exposed

    def origin(self, relation: Relation, attnum: int) -> tuple[Relation, Column] | None:
        """The column of the base table behind a plain column of a view (through views of views); a table's column is its
        own origin; None for a computed one."""
        seen: set[int] = set()
        while relation.kind in ("v", "m"):
            step = next(((oid, n) for here, oid, n in relation.view_columns if here == attnum), None)
            if step is None or step[0] in seen or step[0] not in self.relations:
                return None
            seen.add(step[0])
            relation, attnum = self.relations[step[0]], step[1]
        column = relation.by_attnum(attnum)
        return None if column is None else (relation, column)
