"""The calls of AI services in a file: ``fetch`` to a known host, and the SDKs."""

from __future__ import annotations

import re

from ast_grep_py import SgNode
from msgspec import Struct

from healing.core.sources.calls import AiCall, Via
from healing.scan.addresses import GATEWAY_SETTING, Address, address, is_ours
from healing.scan.source import arguments, bare, inner
from healing.scan.unit import Unit


class Provider(Struct, frozen=True):
    """A service by its host. ``spoken``: the paths in which it speaks OpenAI's dialect (None = in none)."""

    host: str
    name: str
    spoken: re.Pattern[str] | None = None


_OPENAI = re.compile(r"/(chat/completions|embeddings|models)(?=$|[?/\0])")
PROVIDERS = (
    Provider("ai.gateway.lovable.dev", "lovable-ai", _OPENAI),
    Provider("api.openai.com", "openai", _OPENAI),
    Provider("openrouter.ai", "openrouter", _OPENAI),
    Provider("api.groq.com", "groq", _OPENAI),
    Provider("api.mistral.ai", "mistral", _OPENAI),
    Provider("api.deepseek.com", "deepseek", _OPENAI),
    Provider("api.perplexity.ai", "perplexity", _OPENAI),
    Provider("api.together.xyz", "together", _OPENAI),
    Provider("api.fireworks.ai", "fireworks", _OPENAI),
    Provider("api.x.ai", "xai", _OPENAI),
    Provider("generativelanguage.googleapis.com", "gemini", re.compile(r"/openai/(chat/completions|embeddings|models)")),
    Provider("openai.azure.com", "azure-openai"),
    Provider("api.anthropic.com", "anthropic"),
    Provider("api.cohere.ai", "cohere"),
    Provider("api.cohere.com", "cohere"),
    Provider("api.elevenlabs.io", "elevenlabs"),
    Provider("api.replicate.com", "replicate"),
    Provider("api-inference.huggingface.co", "huggingface"),
    Provider("router.huggingface.co", "huggingface"),
    Provider("api.stability.ai", "stability"),
    Provider("api.assemblyai.com", "assemblyai"),
    Provider("api.deepgram.com", "deepgram"),
)
_SDKS = {
    "@anthropic-ai/sdk": ("anthropic", "other"), "@google/generative-ai": ("gemini", "other"), "@google/genai": ("gemini", "other"),
    "groq-sdk": ("groq", "other"), "@mistralai/": ("mistral", "other"), "cohere-ai": ("cohere", "other"),
    "@ai-sdk/openai": ("openai", "other"), "@ai-sdk/": ("ai-sdk", "other"), "openai": ("openai", "openai"),
}  # fmt: skip
_PACKAGE = re.compile(r"(?:^|[:/])((?:@[\w-]+/)?[\w-]+)(?:@[^/]*)?(?:/|$|\?)")
_AI_SETTING = re.compile(r"(?:^|_)(AI|OPENAI|LLM|LOVABLE|GPT|MODEL)_")


def provider_of(found: Address) -> Provider | None:
    """The service that an address leads to."""
    return next((p for p in PROVIDERS if re.search(rf"//(?:[\w-]+\.)*{re.escape(p.host)}(?=[/:?]|$|\0)", found.text)), None)


def ai_calls(unit: Unit) -> list[AiCall]:
    """Every call, in the order of the file."""
    found = [one for call in unit.source.root.find_all(kind="call_expression") if (one := _fetched(call, unit)) is not None]
    found += [one for made in unit.source.root.find_all(kind="new_expression") if (one := _made(made, unit)) is not None]
    return sorted(found, key=lambda c: c.place)


def _fetched(call: SgNode, unit: Unit) -> AiCall | None:
    callee, given = call.field("function"), arguments(call)
    if callee is None or not given or (callee.kind() != "identifier" and callee.text() not in ("globalThis.fetch", "self.fetch")):
        return None
    declared = unit.scope.find(callee) if callee.kind() == "identifier" else None
    moved = declared is not None and declared.kind == "import" and is_ours(declared.origin)
    if not moved and "fetch" not in callee.text().lower():
        return None
    where = address(given[0], unit)
    provider = provider_of(where)
    if provider is None:
        return _set_elsewhere(call, where, unit)
    dialect = "openai" if provider.spoken is not None and provider.spoken.search(where.text) else "other"
    return AiCall(unit.source.place(call), provider.name, dialect, "fetch", Via.GATEWAY if moved else _way(where))


def _way(where: Address) -> Via:
    """Where a call to that address goes."""
    if where.moved or GATEWAY_SETTING in where.settings:
        return Via.GATEWAY
    return Via.SETTING if where.settings else Via.DIRECT


def _set_elsewhere(call: SgNode, where: Address, unit: Unit) -> AiCall | None:
    """The host is a setting; the path, or the setting's name, says what it is."""
    speaks = _OPENAI.search(where.text) is not None and "models" not in where.text
    named = any(_AI_SETTING.search(name) and name.endswith(("URL", "BASE", "ENDPOINT", "HOST")) for name in where.settings)
    if not where.settings or "//" in where.text or not (speaks or named):
        return None
    return AiCall(unit.source.place(call), "ai", "openai" if speaks else "other", "fetch", _way(where))


def _made(made: SgNode, unit: Unit) -> AiCall | None:
    maker = made.field("constructor")
    declared = unit.scope.find(maker) if maker is not None and maker.kind() == "identifier" else None
    if declared is None or declared.kind != "import":
        return None
    sdk = _sdk(declared.origin)
    if sdk is None:
        return None
    return AiCall(unit.source.place(made), *_of_sdk(made, sdk, unit))


def _of_sdk(made: SgNode, sdk: tuple[str, str], unit: Unit) -> tuple[str, str, str, Via]:
    name, dialect = sdk
    given = arguments(made)
    options = bare(given[0]) if given else None
    if options is not None and options.kind() == "call_expression" and _is_ours(options, unit):
        return name, dialect, "sdk", Via.GATEWAY
    pairs = inner(options) if options is not None and options.kind() == "object" else []
    base = next((p.field("value") for p in pairs if (k := p.field("key")) is not None and k.text() in ("baseURL", "basePath")), None)
    where = address(base, unit) if base is not None else Address("https://api.openai.com")
    provider = provider_of(where)
    return (
        (provider.name if provider is not None and dialect == "openai" else name),
        dialect,
        "sdk",
        Via.SETTING if where.settings else Via.DIRECT,
    )


def _is_ours(call: SgNode, unit: Unit) -> bool:
    callee = call.field("function")
    declared = unit.scope.find(callee) if callee is not None and callee.kind() == "identifier" else None
    return declared is not None and declared.kind == "import" and is_ours(declared.origin)


def _sdk(origin: str) -> tuple[str, str] | None:
    if origin.startswith((".", "/")):
        return None
    bare_name = re.sub(r"^(?:npm|jsr):|^https?://[^/]+/(?:v\d+/)?", "", origin)
    package = re.sub(r"(?<=.)@[^/]*", "", bare_name)
    return next(
        (sdk for start, sdk in _SDKS.items() if package == start or package.startswith(start if start.endswith("/") else start + "/")), None
    )
