"""Server-sent events and streamed answers, from bytes split anywhere."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from breakers.core.ai.sse import Event, Reader, TooLong
from breakers.core.ai.tape import Tape
from breakers.core.ai.tokens import Tokens
from breakers.core.ai.verdict import Kind

LINES = st.sampled_from(
    [b"data: a", b"data:b", b"data", b"data:  c", b": comment", b"event: error", b"id: 7", b"retry: 3", b"", b"", "data: é€".encode()]
)
ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


@st.composite
def wires(draw: st.DrawFn) -> bytes:
    start = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    return start + b"".join(draw(LINES) + draw(ENDS) for _ in range(draw(st.integers(0, 12))))


def plainly(wire: bytes) -> list[Event]:
    """The standard's algorithm, line by line."""
    events, data, name = [], [], b""
    for line in wire.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")[:-1]:
        if not line:
            events += [Event(b"\n".join(data), name)] if data else []
            data, name = [], b""
        elif not line.startswith(b":"):
            field, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            data += [value] if field == b"data" else []
            name = value if field == b"event" else name
    return events


@given(wires(), st.data())
def test_any_split_of_the_same_bytes_gives_the_events_of_the_standard(wire: bytes, data: st.DataObject):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=8)))
    parts = [wire[a:b] for a, b in pairwise([0, *cuts, len(wire)])]
    reader = Reader()
    assert [event for part in parts for event in reader.feed(part)] == plainly(wire)


@given(st.binary(max_size=200), st.data())
def test_any_bytes_are_read_without_an_error_and_alike_byte_by_byte(wire: bytes, data: st.DataObject):
    whole, single = Reader(), Reader()
    assert whole.feed(wire) == [event for at in range(len(wire)) for event in single.feed(wire[at : at + 1])]


@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_an_endless_event_is_given_up_at_the_bound(size: int):
    reader = Reader(most=10_000)
    for _ in range(10_001 // size):
        reader.feed(b"x" * size)
    with pytest.raises(TooLong):
        reader.feed(b"x" * size)


def chunk(delta: dict, finish: str | None = None, **more: object) -> bytes:
    body = {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


ROLE, END, DONE = chunk({"role": "assistant", "content": ""}), chunk({}, "stop"), b"data: [DONE]\n\n"
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":4}}}\n\n'


def test_nothing_is_given_out_before_valid_content_and_then_all_of_it():
    tape = Tape(hide_usage=True)
    assert (tape.take(ROLE), tape.begun) == (b"", False)
    assert tape.take(chunk({"content": "a"})) == ROLE + chunk({"content": "a"})
    assert tape.take(END + USAGE + DONE) == END + DONE
    assert tape.done and tape.usage == Tokens(7, 2, 4) and tape.broken is None


def test_the_usage_goes_on_to_a_caller_who_asked_for_it():
    tape = Tape(hide_usage=False)
    assert tape.take(chunk({"content": "a"}) + END + USAGE + DONE).endswith(USAGE + DONE)


@pytest.mark.parametrize("delta", [{"content": "a"}, {"tool_calls": [{"index": 0}]}, {"reasoning_content": "hm"}, {"refusal": "no"}])
def test_content_is_more_than_text(delta: dict):
    tape = Tape(hide_usage=True)
    assert tape.take(chunk(delta)) and tape.begun


@pytest.mark.parametrize(
    ("wire", "reason"),
    [
        (b"", "empty stream"),
        (ROLE, "empty stream"),
        (DONE, "no content before [DONE]"),
        (b'data: {"choices":[]}\n\n' + DONE, "no content before [DONE]"),
        (b"data: <html>\n\n", "a chunk is no JSON"),
        (b'data: {"error":{"message":"x","code":"server_error"}}\n\n' + DONE, "error inside 200"),
        (b"event: error\ndata: {}\n\n", "error inside 200"),
        (b'data: {"choices":"no"}\n\n', "choices that are none"),
        (chunk({"content": "a"}), "truncated: no [DONE]"),
        (b"<html>nothing here</html>", "empty stream"),
        (b'{"choices":[{"message":{"content":"whole"}}]}', "empty stream"),
    ],
)
def test_what_is_no_whole_stream_is_a_failure_and_never_ends_with_done(wire: bytes, reason: str):
    tape = Tape(hide_usage=True)
    out = tape.take(wire) + tape.end()
    assert tape.broken is not None and (tape.broken.kind, tape.broken.reason) == (Kind.FAILURE, reason)
    assert not tape.done and b"[DONE]" not in out


def test_an_answer_that_said_how_it_ended_is_whole_without_the_last_line():
    tape = Tape(hide_usage=True)
    assert (tape.take(chunk({"content": "a"}) + END) + tape.end()).endswith(DONE)
    assert tape.done and tape.broken is None


def test_of_two_choices_both_must_end():
    tape = Tape(hide_usage=True)
    other = b'data: {"choices":[{"index":1,"delta":{"content":"b"}}]}\n\n'
    tape.take(chunk({"content": "a"}) + other + END)
    assert DONE not in tape.end() and tape.broken


def test_after_the_end_nothing_more_is_read():
    tape = Tape(hide_usage=True)
    out = tape.take(chunk({"content": "a"}) + END + DONE + chunk({"content": "late"}))
    assert b"late" not in out and tape.take(chunk({"content": "later"})) == b""


def test_what_is_held_back_is_bounded():
    tape = Tape(hide_usage=True)
    for _ in range(10_000):
        if tape.over:
            break
        tape.take(b'data: {"choices":[],"padding":"' + b"x" * 1000 + b'"}\n\n')
    assert tape.broken is not None and tape.broken.reason == "no content"
