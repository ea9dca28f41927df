"""Whether a column's new type takes every value of the old one, so that writers and readers hardly notice."""

from __future__ import annotations

from schema_monitor.core.snapshot import Column

_WIDER = {
    ("int2", "int4"),
    ("int2", "int8"),
    ("int4", "int8"),
    ("float4", "float8"),
    ("varchar", "text"),
    ("bpchar", "text"),
    ("bpchar", "varchar"),
    ("json", "text"),
}
_INTEGER_DIGITS = {"int2": 5, "int4": 10, "int8": 19}


def widens(old: Column, new: Column) -> bool:
    """Every old value fits and means the same. Unsure counts as no."""
    if old.array != new.array or (new.domain is not None and new.domain != old.domain):
        return False
    if old.base == new.base and old.enum == new.enum:
        return _same_base(old, new)
    if new.base == "text":
        return old.enum is not None or (old.base, "text") in _WIDER
    if new.base == "numeric" and old.base in _INTEGER_DIGITS:
        return new.precision is None or new.precision - (new.scale or 0) >= _INTEGER_DIGITS[old.base]
    return (old.base, new.base) in _WIDER and _longer(old.length, new.length)


def _same_base(old: Column, new: Column) -> bool:
    if new.base == "numeric":
        return _more_digits(old, new)
    if new.base in ("bit", "bpchar") and old.length != new.length:
        return False
    return _longer(old.length, new.length) and _longer(old.precision, new.precision)


def _more_digits(old: Column, new: Column) -> bool:
    if new.precision is None:
        return True
    if old.precision is None:
        return False
    before, after = old.scale or 0, new.scale or 0
    return after >= before and new.precision - after >= old.precision - before


def _longer(old: int | None, new: int | None) -> bool:
    """Limits; None is no limit."""
    return new is None or (old is not None and new >= old)
