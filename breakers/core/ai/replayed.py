"""A whole answer as a stream, and a stream as the whole answer that it adds up to: the cache keeps the one and serves both."""

from __future__ import annotations

from typing import Any

import msgspec

from breakers.core.ai.joined import joined
from breakers.core.ai.tokens import Tokens

_DONE = b"data: [DONE]\n\n"


def as_stream(whole: bytes, *, wants_usage: bool) -> bytes | None:
    """The events of a valid whole answer; None where it is none."""
    try:
        answer = msgspec.json.decode(whole)
        head = {name: answer[name] for name in ("id", "created", "model", "system_fingerprint") if name in answer}
        head["object"] = "chat.completion.chunk"
        chunks = [{**head, "choices": [step]} for choice in answer["choices"] for step in _steps(choice)]
    except (msgspec.DecodeError, RecursionError, KeyError, TypeError):
        return None
    if wants_usage and answer.get("usage"):
        chunks.append({**head, "choices": [], "usage": answer["usage"]})
    return b"".join(b"data: " + msgspec.json.encode(chunk) + b"\n\n" for chunk in chunks) + _DONE


def as_whole(stream: bytes, id: str, created: int, used: Tokens) -> bytes | None:
    """The whole answer of a stream that ended in order; None where it cannot be told."""
    found = joined(stream)
    if found is None or not found["choices"] or not all(each.get("finish_reason") for each in found["choices"]):
        return None
    usage = {"prompt_tokens": used.sent, "completion_tokens": used.made, "total_tokens": used.sent + used.made}
    choices = [{**choice, "message": _without_index(choice["message"])} for choice in found["choices"]]
    head = {"id": id, "object": "chat.completion", "created": created, "model": found.get("model", "")}
    return msgspec.json.encode({**head, "choices": choices, "usage": usage})


def _steps(choice: dict[str, Any]) -> list[dict[str, Any]]:
    message = dict(choice["message"])
    if isinstance(message.get("tool_calls"), list):
        message["tool_calls"] = [{"index": at, **call} for at, call in enumerate(message["tool_calls"])]
    index, logprobs = choice.get("index", 0), choice.get("logprobs")
    said = {"index": index, "delta": message, "logprobs": logprobs, "finish_reason": None}
    return [said, {"index": index, "delta": {}, "logprobs": None, "finish_reason": choice.get("finish_reason") or "stop"}]


def _without_index(message: dict[str, Any]) -> dict[str, Any]:
    """Parts of a stream are numbered, those of a whole answer are not."""
    calls = message.get("tool_calls")
    if not isinstance(calls, list):
        return {"role": "assistant", "content": None, **message}
    plain = [{name: value for name, value in call.items() if name != "index"} for call in calls if isinstance(call, dict)]
    return {"role": "assistant", "content": None, **message, "tool_calls": plain}
