"""The ``Accept`` header: which of the forms that we serve comes first."""

from __future__ import annotations

from msgspec import Struct

from healing.gateway.errors import unacceptable_media


class Accept(Struct, frozen=True):
    """``kind``: json | object | csv. ``strip``: leave out keys that are null."""

    kind: str = "json"
    strip: bool = False

    @property
    def content_type(self) -> str:
        """What the answer is labelled as."""
        stripped = ";nulls=stripped" if self.strip else ""
        if self.kind == "object":
            return f"application/vnd.pgrst.object+json{stripped}; charset=utf-8"
        if self.kind == "csv":
            return "text/csv; charset=utf-8"
        if self.strip:
            return "application/vnd.pgrst.array+json;nulls=stripped; charset=utf-8"
        return "application/json; charset=utf-8"


JSON = Accept()
_SERVED = {
    "*/*": "json",
    "application/*": "json",
    "application/json": "json",
    "application/vnd.pgrst.array+json": "json",
    "application/vnd.pgrst.array": "json",
    "application/vnd.pgrst.object+json": "object",
    "application/vnd.pgrst.object": "object",
    "text/csv": "csv",
}


def parse_accept(header: str | None) -> Accept:
    """The best form that is served; none of them is PGRST107."""
    if not header or header == "*/*":
        return JSON
    ranked = sorted((_media(part) for part in header.split(",") if part.strip()), key=lambda m: -m[2])
    for name, parameters, quality in ranked:
        if name in _SERVED and quality > 0:
            strip = "vnd.pgrst" in name and parameters.get("nulls") == "stripped"
            return Accept(_SERVED[name], strip)
    raise unacceptable_media(", ".join(part.strip() for part in header.split(",")))


def _media(part: str) -> tuple[str, dict[str, str], float]:
    name, *rest = (piece.strip() for piece in part.split(";"))
    pairs = (piece.partition("=") for piece in rest)
    parameters = {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs}
    return name.lower(), parameters, _quality(parameters.get("q", "1"))


def _quality(text: str) -> float:
    try:
        return float(text) if len(text) < 8 else 0.0
    except ValueError:
        return 0.0
