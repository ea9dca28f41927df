"""Whether a text of the catalog (a policy, a default, a check ...) may ask for the headers of the request that it is evaluated for.

By itself, or through a function or an operator of which nobody knows what it asks for. Names in such texts are qualified, so what has no
schema is Postgres's own.
"""

from __future__ import annotations

import re

_NAME = r'(?:"(?:[^"]|"")+"|\w+)'
_STRING = re.compile(r"'(?:[^']|'')*'")
_OWN_FUNCTION = re.compile(rf"(?<![\w\".])(?!auth\.(?:uid|role|email|jwt)\(){_NAME}\.{_NAME}\(")
"""A call of a function outside pg_catalog; the four that Supabase has in ``auth`` read claims only."""
_OWN_OPERATOR = re.compile(rf"OPERATOR\((?!pg_catalog\.){_NAME}\.")
_SETTING = re.compile(r"current_setting\((?!')")
"""Of a name that is worked out."""


def asks(text: str) -> bool:
    """Whether it may."""
    if "request.headers" in text:
        return True
    bare = _STRING.sub("''", text)
    return any(pattern.search(bare) is not None for pattern in (_OWN_FUNCTION, _OWN_OPERATOR, _SETTING))
