"""Errors of the AI gateway in OpenAI's shape: ``{"error": {"message", "type", "param", "code"}}``.

AiError      anything that is answered as such
  4xx        the caller's: invalid_request_error, authentication_error, permission_error, rate_limit_error, insufficient_quota
  5xx        ours or the provider's: api_error
"""

from __future__ import annotations

import msgspec

Headers = tuple[tuple[str, str], ...]
NO_RETRY = ("x-should-retry", "false")
"""openai's SDKs obey it: we have retried already."""


class AiError(Exception):
    """An answer that is not the one asked for. ``param`` names the field at fault."""

    def __init__(self, status: int, message: str, type: str, code: str | None, param: str | None = None, headers: Headers = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.type = type
        self.code = code
        self.param = param
        self.headers = headers

    def to_body(self) -> bytes:
        """The body."""
        return msgspec.json.encode({"error": self.to_error()})

    def to_error(self) -> dict[str, str | None]:
        """What stands under ``error``, in a body and in a stream."""
        return {"message": self.message, "type": self.type, "param": self.param, "code": self.code}


def invalid(message: str, code: str | None = None, param: str | None = None, status: int = 400) -> AiError:
    """The request cannot be served as it is."""
    return AiError(status, message, "invalid_request_error", code, param)


def unauthenticated(message: str, headers: Headers = ()) -> AiError:
    """No credentials, or wrong ones."""
    return AiError(401, message, "authentication_error", "invalid_api_key", None, headers)


def forbidden(message: str) -> AiError:
    """The credentials are right, but do not reach this far."""
    return AiError(403, message, "permission_error", "insufficient_permissions")


def unknown_model(name: str) -> AiError:
    """No row has this name."""
    hint = "GET /v1/models lists those that can be asked."
    return AiError(404, f"The model '{name}' does not exist here. {hint}", "invalid_request_error", "model_not_found", "model")


def no_provider() -> AiError:
    """Nothing is configured."""
    hint = "Add a provider and a model in the dashboard, or set AI_BASE_URL, AI_API_KEY and AI_MODEL."
    return AiError(503, f"No AI provider is configured. {hint}", "api_error", "no_provider", None, (NO_RETRY,))


def busy() -> AiError:
    """More calls are under way than this process takes."""
    return AiError(503, "The AI gateway is busy. Try again shortly.", "api_error", "busy", None, (("Retry-After", "1"),))
