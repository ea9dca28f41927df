"""What type a column of some name usually has. Counted over 19,000 columns of public Supabase applications; used where the values say
nothing, or leave it open."""

from __future__ import annotations

from healing.core.match.names import name_of
from healing.core.match.values import hinted

_LAST = {
    word: kind
    for kind, words in {
        "integer": "count minutes seconds ms order attempts retries points version position quantity days step rank year age index level"
        " views clicks likes tokens",
        "bigint": "bytes size",
        "numeric": "amount price rate cost score total subtotal fee percent percentage confidence revenue budget balance rating hours tax"
        " discount weight salary value",
        "double precision": "latitude longitude lat lng lon",
        "date": "date day birthday dob",
        "boolean": "active enabled verified required read completed visible archived deleted published public approved",
        "jsonb": "metadata meta data json config configuration payload details context settings options preferences attributes properties"
        " items fields result breakdown features",
        "text[]": "tags keywords",
        "uuid[]": "ids",
        "timestamp with time zone": "at on until since timestamp expires expiry",
        "uuid": "id uuid",
    }.items()
    for word in words.split()
}
_BY_FAMILY = {
    "bool": "boolean",
    "moment": "timestamp with time zone",
    "uuid": "uuid",
    "array": "text[]",
    "json": "jsonb",
    "number": "numeric",
    "text": "text",
}


def usual_type(name: str) -> str:
    """A type by the name alone; '' where it suggests none."""
    words = name_of(name).words
    if not words:
        return ""
    family = hinted(words)
    if family == "bool" or (len(words) == 1 and words[0] in ("at", "on")):
        return _BY_FAMILY.get(family, "")
    return _LAST.get(words[-1]) or _BY_FAMILY.get(family, "")
