"""What the cache keeps is whole; it is given as it was asked for."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from breakers.core.ai.joined import joined
from breakers.core.ai.replayed import as_stream, as_whole
from breakers.core.ai.tape import Tape
from breakers.core.ai.tokens import Tokens

USED = Tokens(3, 4)
CALL = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}}


def whole(*messages: dict[str, Any]) -> bytes:
    choices = [{"index": at, "message": {"role": "assistant", **each}, "finish_reason": "stop"} for at, each in enumerate(messages)]
    usage = {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    return json.dumps({"id": "1", "object": "chat.completion", "created": 5, "model": "m", "choices": choices, "usage": usage}).encode()


texts = st.text(max_size=20).map(lambda text: {"content": text})
calls = st.just({"content": None, "tool_calls": [CALL, {**CALL, "id": "c2"}]})


@given(st.lists(texts | calls, min_size=1, max_size=3))
def test_there_and_back_is_the_same(messages: list[dict[str, Any]]):
    before = whole(*messages)
    events = as_stream(before, wants_usage=True)
    assert events is not None
    after = as_whole(events, "1", 5, USED)
    assert after is not None and json.loads(after) == json.loads(before)


def test_a_kept_answer_is_a_stream_that_ends_in_order():
    events = as_stream(whole({"content": "hi"}, {"tool_calls": [CALL]}), wants_usage=False)
    assert events is not None and b'"usage"' not in events
    tape = Tape(hide_usage=True)
    assert tape.take(events).endswith(b"data: [DONE]\n\n") and tape.done and tape.broken is None
    told = joined(events)
    assert told is not None and told["choices"][0]["message"]["content"] == "hi"


def test_what_is_no_answer_becomes_no_stream_and_what_did_not_end_no_answer():
    assert as_stream(b"{}", wants_usage=False) is None and as_stream(b"no", wants_usage=False) is None
    assert as_whole(b'data: {"choices":[{"index":0,"delta":{"content":"h"}}]}\n\n', "1", 5, USED) is None
