"""OpenAI's protocol as values: what a service that speaks it says. Every word of an answer is told apart from all others, so that a
word that comes twice is seen."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

CREATED = 1_790_000_000
STREAM, JSON, HTML = "text/event-stream; charset=utf-8", "application/json", "text/html; charset=utf-8"
DONE = b"data: [DONE]\n\n"
PAGE = b"<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body><h1>Please try later</h1></body></html>"
GARBAGE = bytes(range(128, 256)) * 3 + b"{]\x00}\n\n" + bytes(range(1, 32)) * 3


def words_of(body: Mapping[str, Any], number: int, count: int) -> list[str]:
    """The pieces of the answer to call ``number``: ``<number.0> <number.1> …``, or what the caller said after ``say:``."""
    messages = body.get("messages") or [{}]
    last = messages[-1].get("content") if isinstance(messages[-1], dict) else ""
    if isinstance(last, str) and last.startswith("say:"):
        said = last.removeprefix("say:")
        return [said[at : at + 5] for at in range(0, len(said), 5)] or [""]
    return [f"<{number}.{at}> " for at in range(count)]


def usage(pieces: list[str], body: Mapping[str, Any]) -> dict[str, Any]:
    """A token a piece; a token for four characters of the question."""
    asked = max(1, len(json.dumps(body.get("messages") or body.get("input") or "")) // 4)
    cached = {"prompt_tokens_details": {"cached_tokens": 0}}
    return {"prompt_tokens": asked, "completion_tokens": len(pieces), "total_tokens": asked + len(pieces), **cached}


def completion(body: Mapping[str, Any], number: int, pieces: list[str], finish: str = "stop") -> dict[str, Any]:
    """A plain answer; a call of the first tool where tools are offered."""
    message: dict[str, Any] = {"role": "assistant", "content": "".join(pieces), "refusal": None}
    if body.get("tools"):
        message, finish = {"role": "assistant", "content": None, "tool_calls": [_call(body, number)]}, "tool_calls"
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": finish}
    head = {"id": f"chatcmpl-{number}", "object": "chat.completion", "created": CREATED, "model": body.get("model", "")}
    return {**head, "choices": [choice], "usage": usage(pieces, body), "system_fingerprint": "fp_test"}


def chunks(body: Mapping[str, Any], number: int, pieces: list[str], finish: str = "stop") -> Iterator[dict[str, Any]]:
    """A streamed answer: the role, the pieces, the end, and the usage where the caller asked for it."""
    yield chunk(body, number, {"role": "assistant", "content": ""})
    if body.get("tools"):
        call, finish = _call(body, number), "tool_calls"
        arguments = call["function"]["arguments"]
        yield chunk(body, number, {"tool_calls": [{**call, "index": 0, "function": {**call["function"], "arguments": ""}}]})
        for at in range(0, len(arguments), 4):
            yield chunk(body, number, {"tool_calls": [{"index": 0, "function": {"arguments": arguments[at : at + 4]}}]})
    else:
        for piece in pieces:
            yield chunk(body, number, {"content": piece})
    yield chunk(body, number, {}, finish)
    if (body.get("stream_options") or {}).get("include_usage"):
        yield {**chunk(body, number, {}), "choices": [], "usage": usage(pieces, body)}


def chunk(body: Mapping[str, Any], number: int, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    """One chunk."""
    head = {"id": f"chatcmpl-{number}", "object": "chat.completion.chunk", "created": CREATED, "model": body.get("model", "")}
    return {**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}], "usage": None}


def event(value: Any) -> bytes:
    """A value as a server-sent event."""
    return b"data: " + encoded(value) + b"\n\n"


def encoded(value: Any) -> bytes:
    """JSON, as such services write it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def embeddings(body: Mapping[str, Any]) -> dict[str, Any]:
    """A vector of eight numbers for each text."""
    given = body.get("input")
    texts = [given] if isinstance(given, str) else list(given or [])
    width = int(body.get("dimensions") or 8)
    data = [{"object": "embedding", "index": at, "embedding": [(at + 1) / (k + 1) for k in range(width)]} for at in range(len(texts))]
    asked = max(1, len(json.dumps(given)) // 4)
    return {"object": "list", "data": data, "model": body.get("model", ""), "usage": {"prompt_tokens": asked, "total_tokens": asked}}


def models(names: list[str]) -> dict[str, Any]:
    """The list of models."""
    return {"object": "list", "data": [{"id": name, "object": "model", "created": CREATED, "owned_by": "tests"} for name in names]}


def error(message: str, kind: str, code: str | None, param: str | None = None) -> dict[str, Any]:
    """An error body."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


REFUSALS: dict[str, tuple[int, dict[str, Any]]] = {
    "400": (400, error("Invalid value for 'temperature'.", "invalid_request_error", "invalid_value", "temperature")),
    "401": (401, error("Incorrect API key provided.", "invalid_request_error", "invalid_api_key")),
    "402": (402, error("Not enough credits, please top up.", "payment_required", "insufficient_credits")),
    "403": (403, error("This key may not use this model.", "permission_error", "forbidden")),
    "404": (404, error("The model does not exist.", "invalid_request_error", "model_not_found", "model")),
    "422": (422, error("Unprocessable.", "invalid_request_error", None)),
    "429": (429, error("Rate limit reached for requests.", "requests", "rate_limit_exceeded")),
    "429-quota": (429, error("You exceeded your current quota.", "insufficient_quota", "insufficient_quota")),
    "500": (500, error("The server had an error while processing your request.", "server_error", None)),
    "502": (502, error("Bad gateway.", "server_error", None)),
    "503": (503, error("The engine is currently overloaded.", "server_error", "overloaded")),
    "529": (529, error("Overloaded.", "overloaded_error", None)),
    "context-length": (
        400,
        error("This model's maximum context length is 8 tokens.", "invalid_request_error", "context_length_exceeded", "messages"),
    ),
    "context-length-local": (
        400,
        {
            "error": {
                "code": 400,
                "message": "request (9007 tokens) exceeds the available context size",
                "type": "exceed_context_size_error",
            }
        },
    ),
    "error-text": (500, {"error": "something broke"}),
    "content-filter-400": (400, error("The response was filtered.", "invalid_request_error", "content_filter", "prompt")),
}


def _call(body: Mapping[str, Any], number: int) -> dict[str, Any]:
    name = body["tools"][0]["function"]["name"]
    return {"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": encoded({"call": number}).decode()}}
