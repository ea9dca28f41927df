"""A fix as a change of the source: the line before and after."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from healing.core.sources.calls import FileCalls
from healing.core.sources.edits import Clash, Edit, apply, lines, unified
from healing.core.sources.writes import World
from healing.scan.chains import data_calls
from healing.scan.clients import Clients
from healing.scan.judge import judge
from healing.scan.mending import difference
from schema_monitor.core.lineage import Lineage
from tests.unit.scan_scene import ENUMS, HEAD, ORDERS, SNAPSHOT, unit

COLUMNS = tuple(replace(c, name="subject") if c.name == "title" else c for c in ORDERS.columns)
MOOD = replace(ENUMS[9], labels=(ENUMS[9].labels[0], replace(ENUMS[9].labels[1], name="it's gloomy")))
NOW = replace(
    SNAPSHOT, relations={**SNAPSHOT.relations, 1: replace(ORDERS, name="sales", columns=COLUMNS, fingerprint="2")}, enums={9: MOOD}
)


def mended(text: str) -> list[tuple[str, str] | None]:
    """The changes that mend it, after title → subject, orders → sales and sad → it's gloomy."""
    read = unit(HEAD + text)
    lineage = Lineage.start(SNAPSHOT).advance(SNAPSHOT, NOW)
    found = judge([FileCalls("f/index.ts", tuple(data_calls(read, Clients(read))))], World(NOW, lineage, {}))
    return [difference(each, read) for each in found]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("db.from('sales').update({ title: 'x' })", "db.from('sales').update({ subject: 'x' })"),
        ('db.from("sales").update({ "title": x })', 'db.from("sales").update({ "subject": x })'),
        ("db.from('sales').update({ title })", "db.from('sales').update({ subject: title })"),
        ("db.from('sales').delete().eq('title', x)", "db.from('sales').delete().eq('subject', x)"),
        ("db.from('sales').select('id, title, total')", "db.from('sales').select('id, title:subject, total')"),
        ("db.from('sales').select('title,total')", "db.from('sales').select('title:subject,total')"),
        ("db.from('sales').select('title')", "db.from('sales').select('title:subject')"),
        ("db.from('sales').update({ mood: ok ? 'happy' : 'sad' })", "db.from('sales').update({ mood: ok ? 'happy' : 'it\\'s gloomy' })"),
        ("db.from('orders').select('id')", "db.from('sales').select('id')"),
        ("db.from('sales').update({ dueAt: new Date() })", "db.from('sales').update({ due_at: new Date() })"),
    ],
)
def test_a_name_or_a_value_is_written_in_its_own_place(before, after):
    assert mended(before) == [(before, after)]


@pytest.mark.parametrize(
    "text",
    [
        "db.from('sales').select('t:title')",
        "db.from('sales').select(`${x}`).or('title.eq.1,total.eq.2')",
        "db.from('sales').update({ colour: 'red' })",
        "const T = 'orders'; db.from(T).select('id')",
    ],
)
def test_where_the_place_does_not_say_it_a_person_has_to(text):
    assert mended(text) == [None]


def test_edits_keep_everything_else_and_never_overlap():
    assert apply("abcdef", [Edit(4, 5, "E"), Edit(1, 1, "<"), Edit(2, 2, ">")]) == "a<b>cdEf"
    with pytest.raises(Clash):
        apply("abcdef", [Edit(0, 3, ""), Edit(2, 4, "")])


def test_a_diff_ends_lines_as_git_does():
    assert lines("a\r\nb\x0c\u2028c") == ["a\r\n", "b\x0c\u2028c"]
    assert unified("p", "a\nb", "a\nb") == ""
    assert unified("p", "a\nb", "a\nc").endswith("-b\n\\ No newline at end of file\n+c\n\\ No newline at end of file\n")
    assert unified("p", None, "a\n") == "diff --git a/p b/p\nnew file mode 100644\n--- /dev/null\n+++ b/p\n@@ -0,0 +1 @@\n+a\n"
