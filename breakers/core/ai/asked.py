"""A request in OpenAI's dialect: the few fields that matter here; everything else passes through byte for byte."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw, Struct

from breakers.core.ai.tokens import BYTES_PER_TOKEN

CHAT = "chat/completions"
EMBEDDINGS = "embeddings"
IMAGE_TOKENS = 1000
"""A guess for what is no text: its bytes say nothing."""
UNBOUNDED = 2048
"""Tokens that an answer is taken for, where the caller sets no bound; what it really used is settled afterwards."""
_LONG = 16_384
_MOST = 10**9
_NAME = 256
"""Characters of a model's name; no row has a longer one."""


class Invalid(Exception):
    """The request cannot be read: why, and which field is at fault."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.message, self.param = message, param


class Asked(Struct, frozen=True, kw_only=True):
    """One request. ``fields`` hold the JSON text of each member."""

    endpoint: str
    fields: dict[str, Raw]
    model: str
    stream: bool = False
    wants_usage: bool = False
    """whether the caller asked for the chunk with the usage."""
    size: int = 0


_decoder = msgspec.json.Decoder(dict[str, Raw])
_encoder = msgspec.json.Encoder()
_USAGE = Raw(b'{"include_usage":true}')
_TRUE = b"true"


def read_asked(endpoint: str, body: bytes) -> Asked:
    """Reads a body. Raises ``Invalid``."""
    try:
        fields = _decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Invalid(f"We could not parse the JSON body of your request: {_first_line(error)}") from None
    needed, opening = ("input", b'["') if endpoint == EMBEDDINGS else ("messages", b"[")
    given = bytes(fields.get(needed, b"")).lstrip()
    if not given:
        raise Invalid(f"Missing required parameter: '{needed}'.", needed)
    if given[0] not in opening or given[1:].lstrip() == b"]":
        raise Invalid(f"Invalid type or empty value for '{needed}'.", needed)
    streamed = endpoint == CHAT and _flag(fields, "stream")
    return Asked(
        endpoint=endpoint,
        fields=fields,
        model=_model(fields),
        stream=streamed,
        wants_usage=streamed and _wants_usage(fields.get("stream_options")),
        size=len(body),
    )


def outgoing(asked: Asked, upstream: str, *, counted: bool = True) -> bytes:
    """The body for a provider that calls the model ``upstream``. Usage is asked for (unless not ``counted``: some providers refuse to
    be asked), as it is how tokens are known."""
    fields: dict[str, Any] = {**asked.fields, "model": upstream}
    if counted and asked.stream and not asked.wants_usage:
        fields["stream_options"] = _with_usage(asked.fields.get("stream_options"))
    return _encoder.encode(fields)


def expected_tokens(asked: Asked) -> int:
    """What the call may use at most, guessed: what is sent, and the bound that the caller sets, of each choice."""
    bound = max(_integer(asked.fields.get("max_completion_tokens")), _integer(asked.fields.get("max_tokens")))
    return min(_MOST, sent_tokens(asked) + bound * _choices(asked))


def likely_tokens(asked: Asked) -> int:
    """The same for money: an answer without a bound is no free one."""
    if asked.endpoint != CHAT:
        return sent_tokens(asked)
    expected = expected_tokens(asked)
    return expected if expected > sent_tokens(asked) else expected + UNBOUNDED * _choices(asked)


def sent_tokens(asked: Asked) -> int:
    """What is sent, guessed."""
    if asked.size > _LONG and asked.endpoint == CHAT:
        return _weighed(as_value(asked.fields["messages"])) // BYTES_PER_TOKEN + 1
    return asked.size // BYTES_PER_TOKEN + 1


def last_user_text(asked: Asked) -> str:
    """What the user said last; '' where that is no text."""
    messages = as_value(asked.fields.get("messages"))
    said = [each for each in messages if isinstance(each, dict) and each.get("role") == "user"] if isinstance(messages, list) else []
    content = said[-1].get("content") if said else ""
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict) and part.get("type") == "text")
    return content if isinstance(content, str) else ""


def as_value(raw: Raw | None) -> Any:
    """The value of a member; None where it cannot be read."""
    try:
        return msgspec.json.decode(raw) if raw is not None else None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None


def _model(fields: dict[str, Raw]) -> str:
    model = as_value(fields.get("model"))
    if model is not None and not isinstance(model, str):
        raise Invalid("Invalid type for 'model': expected a string.", "model")
    if model and len(model) > _NAME:
        raise Invalid(f"The name in 'model' is too long: at most {_NAME} characters.", "model")
    return model or ""


def _flag(fields: dict[str, Raw], name: str) -> bool:
    """Refused where it is none: some providers take 1 or "yes" for true, and answer in a way that nobody here waits for."""
    text = bytes(fields.get(name, b"null")).strip()
    if text not in (_TRUE, b"false", b"null"):
        raise Invalid(f"Invalid type for '{name}': expected a boolean.", name)
    return text == _TRUE


def _choices(asked: Asked) -> int:
    return max(1, _integer(asked.fields.get("n")))


def _wants_usage(options: Raw | None) -> bool:
    value = as_value(options)
    return isinstance(value, dict) and value.get("include_usage") is True


def _with_usage(options: Raw | None) -> Any:
    value = as_value(options)
    return {**value, "include_usage": True} if isinstance(value, dict) else _USAGE


def _integer(raw: Raw | None) -> int:
    value = as_value(raw)
    return int(min(value, _MOST)) if isinstance(value, int | float) and value > 0 else 0


def _weighed(value: Any) -> int:
    """Bytes of text; what is no text weighs the same each."""
    if isinstance(value, str):
        return IMAGE_TOKENS * BYTES_PER_TOKEN if value.startswith("data:") else len(value)
    if isinstance(value, list):
        return sum(_weighed(each) for each in value)
    if isinstance(value, dict):
        inline = value.get("type") in ("input_audio", "file")
        return IMAGE_TOKENS * BYTES_PER_TOKEN if inline else sum(_weighed(each) for each in value.values())
    return 0


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200] if str(error) else "it is nested too deeply"
