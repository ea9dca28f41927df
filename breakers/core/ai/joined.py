"""A streamed answer as the whole one that it adds up to: what is split over chunks can only be read, and redacted, together."""

from __future__ import annotations

from typing import Any

import msgspec

from breakers.core.ai.sse import Reader, TooLong

_ONCE = frozenset({"role", "type", "id"})


def joined(body: bytes) -> dict[str, Any] | None:
    """``model``, ``choices``, ``usage``, ``error``, as far as they came; None where these are no events with JSON."""
    reader = Reader()
    try:
        events = [*reader.feed(body), *reader.end()]
    except TooLong:
        return None
    chunks = [chunk for event in events if isinstance(chunk := _read(event.data), dict)]
    choices: dict[int, dict[str, Any]] = {}
    whole: dict[str, Any] = {}
    for chunk in chunks:
        whole |= {name: chunk[name] for name in ("model", "usage", "error") if chunk.get(name)}
        given = chunk.get("choices")
        for choice in given if isinstance(given, list) else ():
            if isinstance(choice, dict):
                _join(choices, choice)
    return {**whole, "choices": [choices[index] for index in sorted(choices)]} if whole or choices else None


def _read(data: bytes) -> Any:
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def _join(choices: dict[int, dict[str, Any]], choice: dict[str, Any]) -> None:
    index = choice.get("index", 0)
    index = index if isinstance(index, int) else 0
    held = choices.setdefault(index, {"index": index, "message": {}})
    held["message"] = _added(held["message"], choice.get("delta"))
    if choice.get("finish_reason"):
        held["finish_reason"] = choice["finish_reason"]


def _added(held: Any, more: Any, name: str = "") -> Any:
    """Texts are appended, members and list items (by their ``index``) joined, anything else replaced."""
    if isinstance(held, str) and isinstance(more, str):
        return more if name in _ONCE else held + more
    if isinstance(held, dict) and isinstance(more, dict):
        return {**held, **{each: _added(held.get(each), value, each) for each, value in more.items()}}
    if isinstance(held, list) and isinstance(more, list):
        return _listed(held, more)
    return held if more is None else more


def _listed(held: list[Any], more: list[Any]) -> list[Any]:
    found = list(held)
    for item in more:
        index = item.get("index") if isinstance(item, dict) else None
        at = next((at for at, each in enumerate(found) if isinstance(each, dict) and each.get("index") == index), None)
        if index is None or at is None:
            found.append(item)
        else:
            found[at] = _added(found[at], item)
    return found
