"""The source patch: what to change in the caller's code, without a file and without a value."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from healing.core.chance import percent
from healing.core.explain import source_diff, source_patch
from healing.core.match.option import Option
from healing.core.match.whatif import would_change
from healing.core.ops import Cast, DropKey, Fill, Fix, KeepName, MapValue, RenameColumn, RenameTable, Rescue, SplitBatch, Truncate
from healing.core.types import Operation, Statement

SECRET = "ann@example.com"


@pytest.mark.parametrize(
    ("fix", "lines"),
    [
        (RenameColumn("name", "title"), ["-   name: …,", "+   title: …,"]),
        (RenameColumn("first name", "it's"), ["-   'first name': …,", "+   'it\\'s': …,"]),
        (RenameTable("projects", "works"), ["- .from('projects')", "+ .from('works')"]),
        (MapValue("status", "Open", "open"), ["-   status: 'Open',", "+   status: 'open',"]),
        (MapValue("email", SECRET, "x"), ["-   email: …,", "+   email: …, // the value that the fix names"]),
        (MapValue("email", "", None), ["-   email: '',", "+   email: null,"]),
        (Fill("user_id", claim="sub"), ["+   user_id: …, // the caller's sub"]),
        (Fill("slug", from_key="title"), ["+   slug: …, // the value of title"]),
        (Fill("email", value=SECRET), ["+   email: …, // the value that the fix names"]),
        (DropKey("extra"), ["-   extra: …,"]),
        (Truncate("code", 4), ["-   code: …,", "+   code: ….slice(0, 4),"]),
        (Rescue("extra", "details"), ["-   extra: …,", "+   details: { …, extra: … },"]),
        (SplitBatch(), []),
        (KeepName("x"), []),
    ],
    ids=lambda value: str(type(value).__name__),
)
def test_a_fix_is_an_edit_of_the_call(fix: Fix, lines: list[str]) -> None:
    """In any file; the labels of a closed list are no values."""
    found = source_diff("projects", "insert", [(fix, True)], {"status"})
    assert found.split("\n") == (["@@ .from('projects').insert({ … }) @@", *lines] if lines else [""])
    assert SECRET not in found


def test_a_cast_says_how_the_value_is_read() -> None:
    """That is what the code should do itself."""
    found = source_diff("t", "insert", [(Cast("at", "date", "iso"), True)])
    assert found.split("\n")[2].startswith("+   at: …, // as date: ")


def test_a_name_outside_the_payload_is_told_as_such() -> None:
    """Lineage follows it in filters, too."""
    found = source_diff("t", "update", [(RenameColumn("a", "b"), False), (MapValue("(filter)", "x", "y"), False)])
    assert found.split("\n")[1:] == ["- 'a' // in filters, select, order", "+ 'b'"]


def test_no_name_breaks_out_of_its_line() -> None:
    """Callers make keys up."""
    found = source_diff("t\n+ evil", "insert", [(RenameColumn("a\n+ evil()", "b"), True)])
    assert len(found.split("\n")) == 3


def test_the_line_for_a_hint_holds_no_value_either() -> None:
    """The hint is logged by whoever gets it."""
    statement = Statement(Operation.INSERT, "public", "t")
    said = source_patch(statement, [MapValue("email", SECRET, "x"), Fill("note", value=SECRET)])
    assert said == "in .from('t').insert: send another value for `email`; add `note`"


def test_what_would_change_the_answer_is_said_with_each_proposal() -> None:
    """Facts that a reviewer can check; a near rival is named."""
    option = Option("unknown_column:a", {"op": "rename_column", "from": "a", "to": "b"}, 0.6, "write `a` to `b`", takes="b")
    rival = Option("unknown_column:a", {"op": "rename_column", "from": "a", "to": "c"}, 0.55, "write `a` to `c`", takes="c")
    assert would_change([option], {"unknown_column:a": [option, rival]}) == [
        "a payload that sends both `a` and `b`: then `b` is not meant",
        "a rename of `a` in the schema's history: then its new name is certain",
        "little: to write `a` to `c` is almost as likely (55 % against 60 %)",
    ]
    far = [option, replace(rival, probability=0.1)]
    assert len(would_change([option], {"unknown_column:a": far})) == 2


def test_a_chance_is_never_rounded_to_certainty() -> None:
    assert [percent(p) for p in (1.0, 0.99996, 0.9912, 0.99, 0.6387, 0.01, 0.004, 0.0)] == [
        "100 %", "99.99 %", "99.12 %", "99 %", "64 %", "1 %", "0.4 %", "0 %",
    ]  # fmt: skip
