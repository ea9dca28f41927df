"""Requests in OpenAI's dialect, and canned answers."""

from __future__ import annotations

import json

import pytest
from msgspec import Struct

from breakers.core.ai import canned
from breakers.core.ai.asked import (
    CHAT,
    EMBEDDINGS,
    UNBOUNDED,
    Invalid,
    expected_tokens,
    last_user_text,
    likely_tokens,
    outgoing,
    read_asked,
    sent_tokens,
)

HELLO = b'{"model":"m","messages":[{"role":"user","content":"hello"}]'


def test_what_is_unknown_passes_byte_for_byte():
    asked = read_asked(CHAT, HELLO + b',"seed":12345678901234567890123,"x":1.10e2,"y":{"z":[ 1 ]}}')
    sent = outgoing(asked, "real")
    assert b'"seed":12345678901234567890123' in sent and b'"x":1.10e2' in sent and b'{"z":[ 1 ]}' in sent
    assert json.loads(sent)["model"] == "real" and "stream_options" not in json.loads(sent)


def test_usage_is_always_asked_of_a_stream():
    quiet = read_asked(CHAT, HELLO + b',"stream":true}')
    assert not quiet.wants_usage and json.loads(outgoing(quiet, "m"))["stream_options"] == {"include_usage": True}
    assert "stream_options" not in json.loads(outgoing(quiet, "m", counted=False))
    other = read_asked(CHAT, HELLO + b',"stream":true,"stream_options":{"include_obfuscation":false}}')
    assert json.loads(outgoing(other, "m"))["stream_options"] == {"include_obfuscation": False, "include_usage": True}
    assert read_asked(CHAT, HELLO + b',"stream":true,"stream_options":{"include_usage":true}}').wants_usage


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"[]", None),
        (b"{", None),
        (b'{"model":"m"}', "messages"),
        (b'{"model":"m","messages":[]}', "messages"),
        (b'{"model":"m","messages":"hello"}', "messages"),
        (b'{"model":7,"messages":[{}]}', "model"),
        (b'{"model":"m","messages":[{}],"stream":1}', "stream"),
        (b'{"model":"m","messages":[{}],"stream":"true"}', "stream"),
        (b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}", None),
        (b'{"a":NaN}', None),
    ],
)
def test_what_cannot_be_read_is_the_callers_fault(body: bytes, param: str | None):
    with pytest.raises(Invalid) as caught:
        read_asked(CHAT, body)
    assert caught.value.param == param


def test_embeddings_need_an_input():
    assert read_asked(EMBEDDINGS, b'{"model":"e","input":"x"}').model == "e"
    with pytest.raises(Invalid):
        read_asked(EMBEDDINGS, b'{"model":"e","input":[]}')


def test_an_image_is_not_counted_by_its_bytes():
    image = json.dumps({"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 1_000_000}})
    body = b'{"model":"m","max_tokens":50,"messages":[{"role":"user","content":[' + image.encode() + b"]}]}"
    assert 1_000 < expected_tokens(read_asked(CHAT, body)) < 1_200


def test_each_choice_and_an_answer_without_bound_have_a_price():
    def tokens(more: bytes) -> tuple[int, int]:
        asked = read_asked(CHAT, HELLO + more + b"}")
        return expected_tokens(asked) - sent_tokens(asked), likely_tokens(asked) - sent_tokens(asked)

    assert tokens(b',"max_tokens":100,"n":5') == (500, 500)
    assert tokens(b',"max_tokens":100.0') == (100, 100)
    assert tokens(b"") == (0, UNBOUNDED) and tokens(b',"n":3') == (0, 3 * UNBOUNDED)
    assert tokens(b',"max_tokens":1e30')[0] > 900_000_000


def test_the_last_words_of_the_user_are_found_in_parts_too():
    parts = (
        b'{"messages":[{"role":"user","content":[{"type":"text","text":"what is"},{"type":"text","text":"this"}]},{"role":"assistant"}]}'
    )
    assert last_user_text(read_asked(CHAT, parts)) == "what is this"


class Row(Struct):
    content: str
    model: str = ""
    contains: str = ""


def test_the_canned_answer_that_says_most_about_the_question_is_taken():
    rows = [Row("any"), Row("of m", "m"), Row("opening hours", "", "Open")]
    assert [canned.choose(rows, model, said).content for model, said in (("m", "when do you OPEN?"), ("m", "hi"), ("x", "hi"))] == [
        "opening hours",
        "of m",
        "any",
    ]
    assert canned.choose([Row("of m", "m")], "x", "hi") is None


def test_a_canned_answer_says_what_it_is():
    assert json.loads(canned.completion("hi", "id", 1))["model"] == "mendgate-canned"
    events = canned.stream("hi", "id", 1, wants_usage=True).decode().split("\n\n")
    assert events[-2] == "data: [DONE]" and [json.loads(event[6:])["model"] for event in events[:-2]] == ["mendgate-canned"] * 4
