"""Scripts are split where Postgres would split them."""

from __future__ import annotations

import pytest

from schema_monitor.core.statements import split

CASES = [
    ("", []),
    (" ; -- nothing\n ;", []),
    ("SELECT 1", ["SELECT 1"]),
    ("SELECT ';'; SELECT \"a;b\"", ["SELECT ';'", 'SELECT "a;b"']),
    (r"SELECT E'a\';b'; SELECT 'a\'; SELECT 2", [r"SELECT E'a\';b'", r"SELECT 'a\'", "SELECT 2"]),
    ("DO $$ BEGIN a; END $$; SELECT $x$;$$;$x$", ["DO $$ BEGIN a; END $$", "SELECT $x$;$$;$x$"]),
    ("SELECT a$b$; SELECT 2", ["SELECT a$b$", "SELECT 2"]),
    ("SELECT 1 /* ; /* ; */ ; */; SELECT 2 -- ;\n, 3", ["SELECT 1", "SELECT 2  \n, 3"]),
    (
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END; SELECT 3",
        ["CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END", "SELECT 3"],
    ),
    ("SELECT 'open; SELECT 2", ["SELECT 'open", "SELECT 2"]),
    ("SELECT $$open; SELECT 2", ["SELECT $$open; SELECT 2"]),
]


@pytest.mark.parametrize(("script", "expected"), CASES)
def test_statements_end_at_semicolons_that_end_statements(script: str, expected: list[str]) -> None:
    assert [statement.bare for statement in split(script)] == expected


def test_a_statement_knows_its_line() -> None:
    assert [statement.line for statement in split("-- one\nSELECT 1;\n\n\nSELECT\n2;")] == [1, 5]


@pytest.mark.parametrize("text", ["BEGIN", "begin transaction", "START TRANSACTION", "COMMIT", "COMMIT WORK", "END", "-- go\nCOMMIT"])
def test_transaction_commands_are_known(text: str) -> None:
    assert next(iter(split(text))).is_transaction_command


@pytest.mark.parametrize("text", ["ROLLBACK", "COMMIT AND CHAIN", "COMMIT PREPARED 'x'", "BEGIN ISOLATION LEVEL SERIALIZABLE", "SELECT 1"])
def test_what_is_more_than_a_plain_one_is_left_to_the_database(text: str) -> None:
    assert not next(iter(split(text))).is_transaction_command


def test_concurrently_is_left_out_of_statements_that_have_it_only() -> None:
    texts = ["CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)", "drop index concurrently i", "SELECT 'CREATE INDEX CONCURRENTLY'"]
    assert [next(iter(split(text))).in_transaction for text in texts] == ["CREATE UNIQUE INDEX i ON t (a)", "drop index i", texts[2]]
