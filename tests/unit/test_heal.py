"""The healing flow, tested by hand-sending values: what it asks for, and what it decides on each answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec.structs import replace

from healing.core.drive import drive
from healing.core.heal import STALE, Commit, Kept, Landed, Landing, Pause, Refused, Reread, Result, Run, Step, Undo, heal
from healing.core.heal import Answer as CoreAnswer
from healing.core.mend import Context
from healing.core.types import Failure, Healing, Json, Kind, Operation, Row, Rule, Statement
from healing.core.vet import compile_vet
from schema_monitor.core.lineage import Lineage
from schema_monitor.core.snapshot import Column, Constraint, EnumLabel, EnumType, Relation, Scope, Snapshot

SCOPE = Scope("1", 1)
ID = Column(1, "id", "integer", "int4", nullable=False, default="nextval('x')")
NAME = Column(2, "name", "text", "text")
PRICE = Column(3, "price", "numeric(6,2)", "numeric", precision=6, scale=2)
OWNER = Column(4, "user_id", "uuid", "uuid", nullable=False)
MOOD = Column(5, "mood", "public.mood", "mood", enum=900)
MOODS = EnumType(900, "public", "mood", (EnumLabel(1, "happy"), EnumLabel(2, "sad")))
UNIQUE = Failure("23505", "duplicate key value violates unique constraint")


def relation(*columns: Column) -> Relation:
    """Table t."""
    return Relation(100, "public", "t", "r", columns)


def snapshot(table: Relation, *enums: EnumType) -> Snapshot:
    """A catalog of that table only."""
    return Snapshot(SCOPE, 180000, {table.oid: table}, {enum.oid: enum for enum in enums}, {})


def context(
    before: tuple[Column, ...], after: tuple[Column, ...], *rules: Rule, level: Healing = Healing.APPROVED, strict: bool = False
) -> Context:
    """What is known after the columns went from ``before`` to ``after``."""
    old, new = snapshot(relation(*before), MOODS), snapshot(relation(*after), MOODS)
    lineage = Lineage.start(old).advance(old, new)
    table = new.relations[100]
    return Context(table, new, lineage, compile_vet(table, new, lineage), level, rules, strict, {"sub": "u-1"})


def insert(*rows: Row, operation: Operation = Operation.INSERT) -> Statement:
    """A write to t."""
    return Statement(operation, "public", "t", rows)


class Database:
    """Answers the steps of a flow: by default stores what it is sent; ``says`` are failures that come first; notes every step."""

    def __init__(self, fresh: Context, *says: Failure, stores: Callable[[Row], Row] = lambda row: row) -> None:
        self.fresh, self.says, self.stores = fresh, list(says), stores
        self.steps: list[Step] = []

    def __call__(self, step: Step) -> CoreAnswer:
        self.steps.append(step)
        match step:
            case Run(statement, back):
                if self.says:
                    return self.says.pop(0)
                stored = tuple({k: v for k, v in self.stores(row).items() if k in back} for row in statement.rows)
                return Landing(len(statement.rows), stored if back else None)
            case Reread():
                return self.fresh
        return None

    def runs(self) -> list[Statement]:
        """The statements that were sent."""
        return [step.statement for step in self.steps if isinstance(step, Run)]


def healed(
    statement: Statement, known: Context, *says: Failure, fresh: Context | None = None, failure: Failure | None = None
) -> tuple[Result, Database]:
    """The result of a flow and the database that answered it."""
    database = Database(fresh or known, *says)
    return drive(heal(statement, known, failure), database), database


def rule(signature: str, *ops: dict[str, Json]) -> Rule:
    """An active rule for t."""
    return Rule("r-1", "public", "t", "", signature, ops)


def test_a_healthy_write_goes_through_untouched() -> None:
    """One run, one commit, the very rows that came."""
    known = context((ID, NAME), (ID, NAME))
    statement = insert({"name": "Ada"})
    result, database = healed(statement, known)
    assert isinstance(result, Landed) and result.applied == () and result.changes == ()
    assert [type(step) for step in database.steps] == [Run, Commit]
    assert database.runs()[0].rows[0] is statement.rows[0]


def test_a_former_name_is_followed_and_read_back() -> None:
    """Exact lineage: renamed once or several times."""
    known = context((ID, NAME), (ID, replace(NAME, name="title")))
    result, database = healed(insert({"name": "Ada"}), known)
    assert isinstance(result, Landed)
    assert database.runs()[0].rows == ({"title": "Ada"},)
    assert [(a.source, a.rows) for a in result.applied] == [("lineage", (0,))]
    assert result.stored == ({"title": "Ada"},)


def test_an_old_and_a_new_name_together_are_kept() -> None:
    """Two values for one column: nobody chooses."""
    known = context((ID, NAME), (ID, replace(NAME, name="title")))
    result, database = healed(insert({"name": "Ada", "title": "Bea"}), known)
    assert isinstance(result, Kept) and result.failure.code == "PGRST204"
    assert database.runs() == []


def test_an_unknown_column_is_looked_up_again_before_it_is_kept() -> None:
    """The catalog may be stale; the key is never dropped."""
    known = context((ID, NAME), (ID, NAME))
    result, database = healed(insert({"name": "Ada", "nick": "A"}), known)
    assert isinstance(result, Kept)
    assert [m.signature for m in result.misfits] == ["unknown_column:nick"]
    assert [type(step) for step in database.steps] == [Reread]


def test_a_stale_catalog_is_read_again_and_the_write_lands() -> None:
    """The database said 42703; after the re-read the lineage is known."""
    stale, fresh = context((ID, NAME), (ID, NAME)), context((ID, NAME), (ID, replace(NAME, name="title")))
    unknown = Failure("42703", 'column "name" of relation "t" does not exist')
    result, database = healed(insert({"name": "Ada"}), stale, unknown, fresh=fresh)
    assert isinstance(result, Landed)
    assert [s.rows for s in database.runs()] == [({"name": "Ada"},), ({"title": "Ada"},)]


def test_a_reused_name_is_kept_unless_the_payload_is_todays() -> None:
    """name -> title, and a new column took the name."""
    known = context((ID, NAME), (ID, replace(NAME, name="title"), Column(9, "name", "text", "text")))
    result, _ = healed(insert({"name": "Ada"}), known)
    assert isinstance(result, Kept) and result.failure.code == "MG001"
    assert result.misfits[0].kind is Kind.REUSED_NAME
    result, database = healed(insert({"name": "Ada", "title": "Dr"}), known)
    assert isinstance(result, Landed) and database.runs()[0].rows == ({"name": "Ada", "title": "Dr"},)


def test_a_person_may_settle_a_reused_name() -> None:
    """keep_name: the live column is meant."""
    keep = rule("reused_name:name", {"op": "keep_name", "column": "name"})
    known = context((ID, NAME), (ID, replace(NAME, name="title"), Column(9, "name", "text", "text")), keep)
    result, database = healed(insert({"name": "Ada"}), known)
    assert isinstance(result, Landed) and database.runs()[0].rows == ({"name": "Ada"},)


def test_swapped_names_are_kept_even_together() -> None:
    """Both names are somebody's former ones: nothing tells old callers from new ones."""
    known = context((NAME, PRICE), (replace(NAME, name="price"), replace(PRICE, name="name")))
    result, _ = healed(insert({"name": "Ada", "price": 1}), known)
    assert isinstance(result, Kept)


def test_values_that_have_one_meaning_are_coerced() -> None:
    """The text 1.0 is 1; an enum label by case."""
    known = context((ID, MOOD), (ID, MOOD))
    result, database = healed(insert({"id": "1.0", "mood": "Happy"}), known)
    assert isinstance(result, Landed)
    assert database.runs()[0].rows == ({"id": 1, "mood": "happy"},)
    assert {a.source for a in result.applied} == {"builtin"}


def test_what_has_no_exact_reading_is_the_databases_to_refuse_and_then_kept() -> None:
    """The error is Postgres's own."""
    known = context((ID, NAME), (ID, NAME))
    said = Failure("22P02", 'invalid input syntax for type integer: "1.5"')
    result, _ = healed(insert({"id": "1.5"}), known, said, said)
    assert isinstance(result, Kept) and result.failure == said
    assert [m.kind for m in result.misfits] == [Kind.INVALID_VALUE]


def test_an_approved_rule_heals_its_misfit_before_anything_is_sent() -> None:
    """No failed round trip for a known fix."""
    known = context((ID, NAME), (ID, NAME), rule("unknown_column:nick", {"op": "rename_column", "from": "nick", "to": "name"}))
    result, database = healed(insert({"nick": "A"}), known)
    assert isinstance(result, Landed) and len(database.runs()) == 1
    assert (result.applied[0].source, result.applied[0].rule) == ("person", "r-1")


def test_a_rule_never_overwrites_a_key_of_the_payload() -> None:
    """Its precondition fails, so the write is kept."""
    known = context((ID, NAME), (ID, NAME), rule("unknown_column:nick", {"op": "rename_column", "from": "nick", "to": "name"}))
    result, _ = healed(insert({"nick": "A", "name": "Ada"}), known)
    assert isinstance(result, Kept)


def test_rules_are_not_used_below_their_level() -> None:
    """healing=exact keeps what only a rule could mend; off does not even look."""
    nick = rule("unknown_column:nick", {"op": "rename_column", "from": "nick", "to": "name"})
    for level, wanted in ((Healing.EXACT, Kept), (Healing.OFF, Refused)):
        known = context((ID, NAME), (ID, NAME), nick, level=level)
        says = (Failure("PGRST204", "unknown"),) if level is Healing.OFF else ()
        result, _ = healed(insert({"nick": "A"}), known, *says)
        assert isinstance(result, wanted)


def test_a_missing_value_is_filled_from_a_claim_by_rule() -> None:
    """user_id is the caller's sub, once somebody said so."""
    fill = rule("missing_value:user_id", {"op": "fill", "column": "user_id", "claim": "sub"})
    known = context((ID, NAME, OWNER), (ID, NAME, OWNER), fill)
    result, database = healed(insert({"name": "Ada"}), known)
    assert isinstance(result, Landed)
    assert database.runs()[0].rows == ({"name": "Ada", "user_id": "u-1"},)


def test_a_rule_answers_what_only_the_database_can_say() -> None:
    """23514 has no preflight; the rule is tried on the reported misfit, once."""
    known = context((ID, NAME), (ID, NAME), rule("check:name", {"op": "map_value", "column": "name", "from": "x", "to": "y"}))
    assert known.relation is not None
    check = Constraint(5, "t_name_check", "c", (NAME.attnum,), "CHECK (name <> 'x')")
    known = replace(known, relation=replace(known.relation, constraints=(check,)))
    said = Failure("23514", 'new row for relation "t" violates check constraint "t_name_check"', constraint="t_name_check", column="name")
    result, database = healed(insert({"name": "x"}), known, said)
    assert isinstance(result, Landed)
    assert [s.rows for s in database.runs()] == [({"name": "x"},), ({"name": "y"},)]


def test_rls_and_triggers_are_never_healed_or_kept() -> None:
    """42501, P0001 and 23505 go back as they are, with nothing tried again."""
    known = context((ID, NAME), (ID, NAME))
    for failure in (Failure("42501", "denied"), Failure("P0001", "no"), UNIQUE):
        result, database = healed(insert({"name": "Ada"}), known, failure)
        assert isinstance(result, Refused) and result.failure is failure
        assert len(database.runs()) == 1


def test_a_healed_row_that_cannot_be_read_back_is_written_once_more_without_reading() -> None:
    """The caller may write but not read: the receipt says that it was not verified."""
    known = context((ID, NAME), (ID, replace(NAME, name="title")))
    result, database = healed(insert({"name": "Ada"}), known, Failure("42501", "denied"))
    assert isinstance(result, Landed) and not result.verified
    assert [step.back for step in database.steps if isinstance(step, Run)] == [("title",), ()]


def test_serialization_failures_are_retried_a_bounded_number_of_times() -> None:
    """With a pause before each try; then the caller is told."""
    known = context((ID, NAME), (ID, NAME))
    clash = Failure("40001", "could not serialize")
    result, database = healed(insert({"name": "Ada"}), known, clash, clash)
    assert isinstance(result, Landed)
    assert [s.attempt for s in database.steps if isinstance(s, Pause)] == [1, 2]
    result, database = healed(insert({"name": "Ada"}), known, *[clash] * 9)
    assert isinstance(result, Refused) and result.unavailable
    assert len(database.runs()) == 4


def test_a_healed_value_that_a_trigger_changed_is_undone_and_kept() -> None:
    """What was stored is not what was meant."""
    known = context((ID, NAME), (ID, replace(NAME, name="title")))
    database = Database(known, stores=lambda row: {**row, "title": "other"})
    result = drive(heal(insert({"name": "Ada"}), known), database)
    assert isinstance(result, Kept) and result.failure.code == "MG003"
    assert [type(step) for step in database.steps] == [Run, Undo]


def test_rows_that_a_trigger_kept_back_undo_a_healed_batch() -> None:
    """Which row is missing cannot be told."""
    known = context((ID, NAME), (ID, replace(NAME, name="title")))

    def perform(step: Step) -> CoreAnswer:
        return Landing(1, ({"title": "Ada"},)) if isinstance(step, Run) else None

    result = drive(heal(insert({"name": "Ada"}, {"name": "Bea"}), known), perform)
    assert isinstance(result, Kept)


def test_what_postgres_would_change_lands_with_a_notice_or_is_refused_under_strict() -> None:
    """1.239 into numeric(6,2)."""
    from decimal import Decimal

    rows = insert({"price": Decimal("1.239")})
    result, _ = healed(rows, context((ID, PRICE), (ID, PRICE)))
    assert isinstance(result, Landed)
    assert [(c.column, c.sent, c.stored) for c in result.changes] == [("price", "1.239", "1.24")]
    result, database = healed(rows, context((ID, PRICE), (ID, PRICE), strict=True))
    assert isinstance(result, Refused) and result.failure.code == "MG002" and database.runs() == []


def test_a_failed_commit_goes_round_again() -> None:
    """A deferred constraint is an error like any other."""
    known = context((ID, NAME), (ID, NAME))
    answers: list[CoreAnswer] = [Landing(1, None), Failure("40001", "could not serialize"), None, Landing(1, None), None]
    result = drive(heal(insert({"name": "Ada"}), known), lambda step: answers.pop(0))
    assert isinstance(result, Landed) and answers == []


def test_each_row_of_a_batch_is_healed_by_its_own_keys() -> None:
    """Old and new callers in one batch."""
    known = context((ID, NAME), (ID, replace(NAME, name="title")))
    result, database = healed(insert({"name": "Ada"}, {"title": "Bea"}), known)
    assert isinstance(result, Landed)
    assert database.runs()[0].rows == ({"title": "Ada"}, {"title": "Bea"})
    assert result.applied[0].rows == (0,)


def test_an_unknown_table_is_kept_after_one_look() -> None:
    """PGRST205 in quarantine; nothing is sent."""
    known = replace(context((ID,), (ID,)), relation=None, vet=None)
    result, database = healed(insert({"a": 1}), known)
    assert isinstance(result, Kept) and result.failure.code == "PGRST205"
    assert [type(step) for step in database.steps] == [Reread]


def test_a_catalog_that_cannot_be_read_again_confirms_nothing() -> None:
    """A name that is not known, before it is sent or by the database's word: not kept as a misfit, but to be sent again."""
    unread = Failure("MG503", "The schema cannot be read again now.")
    known = context((ID, NAME), (ID, NAME))
    for says in (Failure("42703", 'column "name" does not exist'), STALE):
        answers: list[CoreAnswer] = [says, unread]
        assert drive(heal(insert({"name": "Ada"}), known), lambda step, answers=answers: answers.pop(0)) == Refused(
            unread, unavailable=True
        )
        assert answers == []
    assert drive(heal(insert({"colour": "red"}), known), lambda step: unread) == Refused(unread, unavailable=True)


def test_a_generated_column_may_be_sent_if_it_turns_out_the_same() -> None:
    """It is left out, read back and compared; a difference undoes the write."""
    total = Column(7, "total", "integer", "int4", generated="s")
    known = context((ID, total), (ID, total))

    def computing(value: int) -> Callable[[Step], CoreAnswer]:
        return lambda step: Landing(1, ({"id": 1, "total": value},)) if isinstance(step, Run) else None

    result = drive(heal(insert({"id": 1, "total": 5}), known), computing(5))
    assert isinstance(result, Landed) and result.statement.rows == ({"id": 1},)
    result = drive(heal(insert({"id": 1, "total": 5}), known), computing(6))
    assert isinstance(result, Kept) and result.failure.code == "428C9"


def test_the_columns_list_follows_renames() -> None:
    """supabase-js sends the keys of an array a second time, as columns."""
    known = context((ID, NAME), (ID, replace(NAME, name="title")))
    result, database = healed(replace(insert({"name": "Ada"}), columns=("name", "id")), known)
    assert isinstance(result, Landed)
    assert database.runs()[0].columns == ("title", "id")


def test_a_rule_never_sets_a_column_that_an_update_did_not_name() -> None:
    """A fill is for rows that are made, not for rows that are there."""
    fill = rule("missing_value:user_id", {"op": "fill", "column": "user_id", "claim": "sub"})
    known = context((ID, NAME, OWNER), (ID, NAME, OWNER), fill)
    result, database = healed(insert({"name": "Ada"}, operation=Operation.UPDATE), known)
    assert isinstance(result, Landed) and database.runs()[0].rows == ({"name": "Ada"},)


def test_a_rule_whose_claim_the_caller_lacks_is_not_applied() -> None:
    """Nothing is invented: the database says what is missing, and the write is kept."""
    fill = rule("missing_value:user_id", {"op": "fill", "column": "user_id", "claim": "org"})
    known = context((ID, NAME, OWNER), (ID, NAME, OWNER), fill)
    said = Failure("23502", 'null value in column "user_id" of relation "t" violates not-null constraint', column="user_id")
    result, _ = healed(insert({"name": "Ada"}), known, said, said)
    assert isinstance(result, Kept)


def test_two_former_names_of_one_column_together_are_kept() -> None:
    """Which of the two values is meant nobody knows."""
    first, second = context((ID, NAME), (ID, replace(NAME, name="title"))), replace(NAME, name="headline")
    table = replace(relation(ID, second), fingerprint="3")
    lineage = first.lineage.advance(first.snapshot, snapshot(table))
    known = Context(table, snapshot(table), lineage, compile_vet(table, snapshot(table), lineage), Healing.APPROVED)
    result, database = healed(insert({"name": "A", "title": "B"}), known, fresh=known)
    assert isinstance(result, Kept) and result.misfits[0].kind is Kind.UNKNOWN_COLUMN
    assert not database.runs()


def test_with_healing_off_losses_are_still_told_and_keys_left_out_too() -> None:
    """Off means that nothing is changed, not that nothing is said."""
    known = context((ID, PRICE), (ID, PRICE), level=Healing.OFF)
    result, _ = healed(replace(insert({"id": 1, "price": "1.239", "x": 2}), columns=("id", "price")), known)
    assert isinstance(result, Landed)
    assert {(c.column, c.stored) for c in result.changes} == {("price", "1.24"), ("x", "")}


def test_a_name_that_moved_under_way_is_looked_up_again() -> None:
    """Twice in a row too: a catalog that changes is not believed before it stands still. Whatever may be healed."""
    for level in (Healing.APPROVED, Healing.OFF):
        before = context((ID, NAME), (ID, NAME), level=level)
        between = context((ID, NAME), (ID, replace(NAME, name="title")), level=level)
        after = context((ID, NAME), (ID, replace(NAME, name="label")), level=level)
        contexts, sent = iter([between, after, after]), []

        def database(step: Step, contexts: Iterator[Context] = contexts, sent: list[Row] = sent) -> CoreAnswer:
            if isinstance(step, Reread):
                return next(contexts)
            if isinstance(step, Run):
                sent.append(step.statement.rows[0])
                return STALE if len(sent) < 3 else Landing(1, step.statement.rows)
            return None

        result = drive(heal(insert({"name": "Ada"}), before), database)
        assert isinstance(result, Landed)
        assert sent == ([{"name": "Ada"}, {"title": "Ada"}, {"label": "Ada"}] if level is Healing.APPROVED else [{"name": "Ada"}] * 3)


def test_a_name_that_never_stands_still_is_refused_without_effect() -> None:
    """The caller is told to send it again."""
    known = context((ID, NAME), (ID, NAME))
    result = drive(heal(insert({"name": "Ada"}), known), Database(known, *[STALE] * 20))
    assert isinstance(result, Refused) and result.failure.code == "MG503" and result.unavailable
