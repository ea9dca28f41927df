"""Hostile names, values, comments and labels: whatever the model answers, nothing beyond the failing key is touched."""

from __future__ import annotations

import json

import pytest

from healing.core.assist import BUILTIN, Agreement, Case, Proof, answer_schema, check, messages, why_not
from healing.core.assist.check import outside
from healing.core.assist.redact import names_of
from healing.core.types import Kind, Misfit
from schema_monitor.core.snapshot import Column, Constraint, Relation
from tests.unit.assist_scene import COLUMNS, Scene, scene
from tests.unit.injections import HOSTILE, OBEDIENT


def scenes(text: str) -> list[Scene]:
    """The text in every place that a user can write to."""
    labels = Constraint(2, "c", "c", (5,), allowed=("active", text))
    commented = tuple(Column(c.attnum, c.name, c.type, c.base, c.nullable, comment=text) for c in COLUMNS)
    named = (*COLUMNS, Column(50, text[:60], text[:60], "text"))
    return [
        scene({text: "x", "status": "active", "note": 1}, Misfit(Kind.UNKNOWN_COLUMN, text, "x")),
        scene({"mail": text, "status": "active", "note": 1}, Misfit(Kind.UNKNOWN_COLUMN, "mail", text)),
        scene({"mail": {text: [text]}, "status": "active"}, Misfit(Kind.UNKNOWN_COLUMN, "mail", {text: [text]})),
        scene({"mail": "x"}, Misfit(Kind.UNKNOWN_COLUMN, "mail", "x"), on=Relation(1, "public", "people", "r", commented)),
        scene({"mail": "x"}, Misfit(Kind.UNKNOWN_COLUMN, "mail", "x"), on=Relation(1, "public", text[:60], "r", named)),
        scene({"status": "odd"}, Misfit(Kind.UNKNOWN_LABEL, "status", "odd"), on=Relation(1, "public", "people", "r", COLUMNS, (labels,))),
    ]  # fmt: skip


def test_the_corpus_is_large():
    assert len(set(HOSTILE)) >= 30


@pytest.mark.parametrize("text", HOSTILE)
def test_an_obedient_model_reaches_nothing_but_the_failing_key(text):
    for asked in scenes(text):
        failing = {misfit.column for misfit in asked.misfits}
        for answer in (*OBEDIENT, text):
            for op in asked.read(answer).ops:
                assert {getattr(op, "source", None), getattr(op, "column", None)} & failing, (answer, op)
                assert outside((op,), asked.statement, asked.misfits) == []


@pytest.mark.parametrize("text", HOSTILE)
def test_every_choice_there_is_keeps_to_the_failing_key_and_rights_are_for_people(text):
    for asked in scenes(text):
        for choice in asked.found:
            for picked in choice.among or ("",):
                op = {"op": choice.op, **{k: v for k, v in choice.fixed.items() if k not in choice.hidden}}
                op |= {choice.open: picked} if choice.open else {}
                shown = {k: asked.facts.names.shown.get(v, v) if isinstance(v, str) else v for k, v in op.items()}
                said = asked.read(json.dumps({"m1": shown}))
                faults = outside(said.ops, asked.statement, asked.misfits)
                assert said.ops and not faults, (op, said, faults)
                sure = Case(said.ops, asked.misfits, Agreement("same", 0.999, 0.999), Proof(5, 5))
                if why_not(sure) == [] and not check(said.ops, asked.statement, asked.misfits, asked.relation, asked.snapshot):
                    assert picked not in ("is_admin",)


@pytest.mark.parametrize("text", HOSTILE)
def test_the_prompt_keeps_its_form(text):
    for asked in scenes(text):
        system, task = messages(BUILTIN, asked.facts)
        assert system["content"] == BUILTIN.system
        facts = task["content"].removeprefix("Facts:\n").rpartition("\n\nWhich operations")[0]
        assert json.loads(facts) == json.loads(json.dumps(asked.facts.told))
        assert "<|" not in facts and "<start_of" not in facts and "[/INST]\n" not in facts and "\\u0000" not in facts
        assert len(task["content"]) < 10_000


@pytest.mark.parametrize("text", HOSTILE)
def test_the_schema_is_plain_json_of_bounded_size_and_unambiguous(text):
    for asked in scenes(text):
        schema = answer_schema(asked.found, asked.facts.names, asked.misfits)
        said = json.dumps(schema)
        assert len(said) < 20_000 and "\\u202e" not in said and "\\u0000" not in said
        shown = list(names_of([text, "mail", "key_1", "key_2"]).shown.values())
        assert len(set(shown)) == len(shown)
