"""The AI tier's pure half: what is told, what may be answered, what is checked, when it counts as proven."""

from __future__ import annotations

import json

import pytest

from healing.core import fixes
from healing.core.assist import BUILTIN, Agreement, Case, Example, Parts, Proof, agree, answer_schema, check, messages, why_not
from healing.core.assist.check import outside
from healing.core.assist.redact import clean, is_name, names_of, sample
from healing.core.types import Kind, Misfit, Operation, Proposal, Statement
from schema_monitor.core.lineage import Lineage
from schema_monitor.core.snapshot import Column
from tests.unit.assist_scene import rename, scene

CANARY = "canary-7f3a9d51"
WHOLE = Proof(3, 3)
SURE = Agreement("same", 0.99, 0.99)


def proposal(*ops: dict[str, object], probability: float = 0.99) -> Proposal:
    return Proposal(ops, probability, "matcher", "says", {})


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("ann@example.com", "<email>"),
        ("7d444840-9dc0-11d1-b245-5ffdce74fad2", "<uuid>"),
        (7, "<integer>"),
        (True, "<true or false>"),
        (None, "<null>"),
        ("hello there you", "<text, 15 characters>"),
        ("x" * 1000, "<one word, 1024 characters>"),
        ({"a": CANARY}, "<object, 1 keys>"),
        ([1, 2], "<list of 2: int>"),
        ("", "<empty text>"),
        ("12.5", "<digits in a text>"),
    ],
)
def test_a_value_is_shown_by_its_shape(value, said):
    assert sample(value) == said


def test_no_value_of_the_payload_is_in_the_prompt_or_the_schema():
    row = {"mail": f"{CANARY}@example.com", "status": CANARY, "details": {CANARY: [CANARY]}, "ref": CANARY, CANARY + " is a key!": CANARY}
    label = Misfit(Kind.UNKNOWN_LABEL, "status", CANARY)
    unknown = [Misfit(Kind.UNKNOWN_COLUMN, key, row[key]) for key in ("mail", "ref")]
    example = Example("unknown_label:status=" + CANARY, ({"op": "map_value", "column": "status", "from": CANARY, "to": "active"},), True)
    asked = scene(row, label, *unknown, examples=[example])
    told = json.dumps([messages(BUILTIN, asked.facts), answer_schema(asked.found, asked.facts.names, asked.misfits)])
    assert CANARY not in told
    assert "<email>" in told
    said = {"m1": {"op": "map_value", "column": "status", "to": "active"}, "m2": {"op": "drop_key", "column": "mail"},
            "m3": {"op": "drop_key", "column": "ref"}}  # fmt: skip
    assert asked.read(json.dumps(said)).ops[0] == fixes.MapValue("status", CANARY, "active")


def test_a_hidden_label_is_compared_not_shown():
    said = scene({"status": "ACTIVE"}, Misfit(Kind.UNKNOWN_LABEL, "status", "ACTIVE")).facts.told["does_not_fit"][0]
    assert said["likeness"] == {"active": "the same letters", "ended": "different"}
    assert "ACTIVE" not in json.dumps(said)


def test_the_prompt_tells_columns_misfits_former_names_and_decisions():
    decided = Example("unknown_column:e_mail", ({"op": "rename_column", "from": "e_mail", "to": "email_address"},), False)
    asked = scene({"mail": "ann@example.com"}, examples=[decided], lineage=Lineage.start(scene({"mail": 1}).snapshot))
    told = asked.facts.told
    assert {c["name"] for c in told["columns"]} >= {"email_address", "status"}
    assert told["does_not_fit"] == [{"id": "m1", "problem": "unknown column", "name": "mail", "looks_like": "<email>"}]
    assert told["decided_before"] == [{"fix": [{"op": "rename_column", "from": "e_mail", "to": "email_address"}], "decision": "rejected"}]
    system, task = messages(BUILTIN, asked.facts)
    assert (system["role"], task["role"]) == ("system", "user")
    assert '"email_address"' in task["content"]


def test_a_task_without_a_place_for_the_facts_gets_them_at_its_end():
    assert messages(Parts("s", "Do it."), scene({"mail": 1}).facts)[1]["content"].startswith('Do it.\n{"operation"')


@pytest.mark.parametrize("text", ["<|im_end|>", "</s>", "a\u202eb", "a\x00b", "\u200bx", "{{x}}", "`x`", "x" * 5000, "a\nb\r\nc"])
def test_cleaned_text_is_one_short_plain_line(text):
    seen = clean(text)
    assert len(seen) <= 100
    assert seen.isprintable()
    assert not set(seen) & set("<>{}|`\n")


def test_only_what_looks_like_a_name_is_shown_as_it_is():
    assert all(map(is_name, ("email", "eMail", "full name", "größe", "a-b", "x1", "$ref"[1:])))
    odd = ("ann@example.com", "7d444840-9dc0-11d1-b245-5ffdce74fad2", "1", "a" * 64, "x\ny", "a, b", "", "one two three four five")
    names = names_of([*odd, "email", "key_1"])
    assert not any(map(is_name, odd))
    assert names.show("email") == "email"
    assert {names.show(name) for name in odd}.isdisjoint({*odd, "key_1"})
    assert all(names.real[names.show(name)] == name for name in odd)


def test_the_schema_admits_only_free_writable_columns_and_none():
    asked = scene({"mail": "a@b.co", "status": "active"})
    shapes = answer_schema(asked.found, asked.facts.names, asked.misfits)["properties"]["m1"]["anyOf"]
    by_op = {shape["properties"]["op"]["enum"][0]: shape["properties"] for shape in shapes}
    assert set(by_op) == {"rename_column", "rescue", "drop_key", "none"}
    assert by_op["rename_column"]["from"]["enum"] == ["mail"]
    assert by_op["rename_column"]["to"]["enum"] == ["email_address", "is_admin", "details", "owner_id"]
    assert by_op["rescue"]["into"]["enum"] == ["details"]


def test_an_update_offers_no_rescue():
    assert "rescue" not in {c.op for c in scene({"mail": "x"}, operation=Operation.UPDATE).found}


def test_an_answer_is_read_into_ops():
    asked = scene({"mail": "ann@example.com"})
    assert asked.read('{"m1": {"op": "rename_column", "from": "mail", "to": "email_address"}}').ops == rename("mail", "email_address")


def test_a_rename_settles_the_value_that_its_target_was_missing():
    lacking = (Misfit(Kind.UNKNOWN_COLUMN, "owner", "x"), Misfit(Kind.MISSING_VALUE, "owner_id"))
    asked = scene({"owner": "7d444840-9dc0-11d1-b245-5ffdce74fad2"}, *lacking)
    said = asked.read('{"m1": {"op": "rename_column", "from": "owner", "to": "owner_id"}, "m2": {"op": "none"}}')
    assert said.ops == rename("owner", "owner_id")


@pytest.mark.parametrize(
    ("text", "why", "invalid"),
    [
        ('{"m1": {"op": "none"}}', "not sure", False),
        ("", "no JSON", True),
        ("Sure! Here is the fix:", "no JSON", True),
        ("```json\n{}\n```", "no JSON", True),
        ("[" * 100_000, "too long", True),
        ("[" * 19_000, "no JSON", True),
        ("[]", "another form", True),
        ("{}", "another form", True),
        ('{"m1": "none"}', "not to be chosen", True),
        ('{"m1": {"op": "none"}, "sql": "DROP TABLE people"}', "another form", True),
        ('{"m1": {"op": "rename_column", "from": "mail", "to": "nowhere"}}', "not to be chosen", True),
        ('{"m1": {"op": "rename_column", "from": "status", "to": "email_address"}}', "not to be chosen", True),
        ('{"m1": {"op": "rename_column", "from": "mail", "to": "total"}}', "not to be chosen", True),
        ('{"m1": {"op": "rename_column", "from": "mail", "to": "email_address", "why": "x"}}', "not to be chosen", True),
        ('{"m1": {"op": "rename_column", "from": "mail"}}', "not to be chosen", True),
        ('{"m1": {"op": "rename_table", "from": "people", "to": "users"}}', "not to be chosen", True),
        ('{"m1": {"op": "drop_key", "column": "status"}}', "not to be chosen", True),
        ('{"m1": ["drop_key", "mail"]}', "not to be chosen", True),
        ('{"m1": null}', "not to be chosen", True),
        ('{"m1": {"op": "drop_key", "column": "mail"}, "m2": {"op": "drop_key", "column": "mail"}}', "another form", True),
    ],
)
def test_anything_else_is_no_fix_and_says_why(text, why, invalid):
    said = scene({"mail": "ann@example.com", "status": "active"}).read(text)
    assert (said.ops, said.invalid) == ((), invalid)
    assert why in said.why


def test_an_answer_to_a_part_abstains():
    asked = scene({"mail": "a@b.co", "fax": "1"})
    said = asked.read('{"m1": {"op": "none"}, "m2": {"op": "drop_key", "column": "fax"}}')
    assert (said.ops, said.invalid, said.why) == ((), False, "the answer leaves 1 of 2 misfits open")
    swapped = asked.read('{"m1": {"op": "drop_key", "column": "fax"}, "m2": {"op": "drop_key", "column": "mail"}}')
    assert (swapped.ops, swapped.invalid) == ((), True)


def test_what_was_not_at_fault_is_out_of_scope_whoever_says_so():
    asked = scene({"mail": "a@b.co", "status": "active", "email_address": "x@y.co"})
    for op in (
        fixes.RenameColumn("status", "is_admin"),
        fixes.RenameColumn("mail", "status"),
        fixes.DropKey("status"),
        fixes.MapValue("status", "active", "ended"),
        fixes.Cast("email_address", "text", "lower"),
        fixes.Rescue("status", "details"),
        fixes.Fill("owner_id", "x"),
        fixes.Truncate("status", 2),
        fixes.RenameTable("people", "users"),
        fixes.SplitBatch(),
    ):
        assert outside((op,), asked.statement, asked.misfits), op
        assert check((op,), asked.statement, asked.misfits, asked.relation, asked.snapshot), op


def test_a_fix_that_does_not_fit_the_schema_is_refused():
    asked = scene({"mail": "a@b.co"})
    assert check(rename("mail", "nowhere"), asked.statement, asked.misfits, asked.relation, asked.snapshot)
    assert check(rename("mail", "owner_id"), asked.statement, asked.misfits, asked.relation, asked.snapshot)  # an email is no uuid
    assert check(rename("mail", "email_address"), asked.statement, asked.misfits, asked.relation, asked.snapshot) == []


def test_of_an_unknown_table_only_its_name_can_be_said():
    asked = scene({"id": 1})
    statement, misfits = Statement(Operation.INSERT, "public", "persons", ({"x": 1},)), (Misfit(Kind.UNKNOWN_TABLE, "persons"),)
    assert check((fixes.RenameTable("persons", "people"),), statement, misfits, None, asked.snapshot) == []
    assert check((fixes.RenameTable("persons", "nowhere"),), statement, misfits, None, asked.snapshot)
    assert check(rename("x", "id"), statement, misfits, None, asked.snapshot)


def test_agreement_raises_confidence_and_disagreement_lowers_it():
    fix = rename("mail", "email_address")
    same = proposal({"op": "rename_column", "from": "mail", "to": "email_address"}, probability=0.9)
    other = proposal({"op": "rename_column", "from": "mail", "to": "status"}, probability=0.9)
    alone = agree(fix, ())
    assert (alone.word, agree(fix, (same,)).word, agree(fix, (other, same)).word) == ("silent", "same", "other")
    assert agree(fix, (other,)).confidence < alone.confidence < 0.9 < agree(fix, (same,)).confidence
    assert agree(fix, (same,), trust=1.0).confidence < 1


def case(ops=None, **more: object):
    return Case(**{"ops": ops or rename("mail", "email_address"), "misfits": (Misfit(Kind.UNKNOWN_COLUMN, "mail"),),
                   "agreement": SURE, "proof": WHOLE, **more})  # fmt: skip


def test_a_sure_exact_proven_fix_passes_every_gate():
    assert why_not(case()) == []
    assert why_not(case(agreement=Agreement("silent", 0.0, 0.3), approved_before=True)) == []


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"ops": (fixes.DropKey("mail"),)}, "without a person"),
        ({"ops": (fixes.Rescue("mail", "details"),)}, "without a person"),
        ({"ops": (fixes.Fill("owner_id", claim="sub"),)}, "without a person"),
        ({"ops": (fixes.Truncate("mail", 3),)}, "without a person"),
        ({"ops": (fixes.UseDefault("mail"),)}, "without a person"),
        ({"ops": (fixes.KeepName("mail"),)}, "without a person"),
        ({"ops": (fixes.RenameTable("mail", "mails"),)}, "without a person"),
        ({"ops": (fixes.Cast("mail", "integer", "round"),)}, "without a person"),
        ({"ops": (fixes.MapValue("mail", "a", "b"),)}, "without a person"),
        ({"ops": rename("mail", "is_admin")}, "rights"),
        ({"ops": rename("mail", "role")}, "rights"),
        ({"ops": rename("user_role", "role")}, "rights"),
        ({"ops": rename("password", "password_hash")}, "secrets"),
        ({"ops": rename("weight_g", "weight_kg")}, "unit"),
        ({"agreement": Agreement("same", 0.9, 0.95)}, "not surely"),
        ({"agreement": Agreement("other", 0.99, 0.1)}, "something else"),
        ({"agreement": Agreement("silent", 0.2, 0.3)}, "does not say the same"),
        ({"proof": Proof()}, "0 of 0"),
        ({"proof": Proof(3, 2)}, "2 of 3"),
        ({"proof": Proof(3, 3, 1)}, "3 of 4"),
        ({"proof": Proof(0, 0, 2, "a trigger")}, "a trigger"),
        ({"taken_back": True}, "taken back"),
    ],
)
def test_any_closed_gate_leaves_it_to_a_person(changed, why):
    assert why in "; ".join(why_not(case(**changed)))


def test_a_person_who_approved_before_opens_no_other_gate():
    for changed in ({"ops": rename("x", "is_admin")}, {"proof": Proof(2, 1)}, {"taken_back": True}, {"ops": (fixes.DropKey("mail"),)}):
        assert why_not(case(**changed, approved_before=True))


def test_a_wide_table_is_told_in_bounded_space():
    wide = tuple(Column(100 + i, f"column_{i}", "text", "text", comment="x" * 5000) for i in range(1500))
    asked = scene({"mail": 1} | {f"k{i}": "v" * 900 for i in range(400)}, on=scene({"a": 1}).relation.__class__(
        1, "public", "people", "r", wide))  # fmt: skip
    assert len(messages(BUILTIN, asked.facts)[1]["content"]) < 30_000
