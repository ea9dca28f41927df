"""The text that rules and causes match on, and the way back: ``unknown_column:metadata + unknown_label:status=Happy``.

Names and labels are the caller's text, so what separates is marked where it stands in one of them: no two misfits have the same
signature, and several read back as those that they were. Plain names stay as they are.

    name or label ``a + b``           ``a \\+ b``         (`` + `` separates misfits)
    label's column ``a=b``            ``a\\=b``           (the first plain ``=`` separates column and label)
    names of a list, ``a,b`` and c    ``a\\,b,c``
    NUL, which Postgres cannot hold   U+FFFD and 0         (U+FFFD itself twice)
"""

from __future__ import annotations

import re
from collections.abc import Iterable

BETWEEN = " + "
_PLUS = re.compile(r"(?<= )(\\*\+)(?= |$)")
_MARKED_PLUS = re.compile(r"(?<= )\\(\\*\+)(?= |$)")
_MARKS_IN_COLUMN = re.compile(r"([\\=])")
_MARKS_IN_LIST = re.compile(r"([\\,])")
_LABEL = re.compile(r"((?:[^\\=]|\\.)*)=(.*)", re.DOTALL)
_ODD = "\ufffd"
_ODDITIES = {_ODD: _ODD, "0": "\0"}
_MARKED_ODD = re.compile(f"{_ODD}([{_ODD}0])")
_MARKED = re.compile(r"\\(.)", re.DOTALL)


def of(kind: str, name: str) -> str:
    """The signature of one misfit; the kind alone where it names nothing."""
    if "\0" in name or _ODD in name:
        name = name.replace(_ODD, 2 * _ODD).replace("\0", f"{_ODD}0")
    return f"{kind}:{_PLUS.sub(_mark, name) if '+' in name else name}" if name else f"{kind}"


def of_label(kind: str, column: str, label: str) -> str:
    """The same of a label that is none."""
    return of(kind, f"{_MARKS_IN_COLUMN.sub(_mark, column)}={label}")


def listed(names: Iterable[str]) -> str:
    """Several names as one, for ``of``."""
    return ",".join([_MARKS_IN_LIST.sub(_mark, name) for name in names])


def joined(signatures: Iterable[str]) -> str:
    """The signature of several misfits together, sorted."""
    return BETWEEN.join(sorted(set(signatures)))


def split(signature: str) -> tuple[str, ...]:
    """Those of its misfits, each by itself."""
    return tuple(signature.split(BETWEEN)) if signature else ()


def read(part: str) -> tuple[str, str]:
    """Kind and name of one misfit; '' where it names nothing."""
    kind, _, name = part.partition(":")
    if "+" in name:
        name = _MARKED_PLUS.sub(r"\1", name)
    return kind, _MARKED_ODD.sub(lambda found: _ODDITIES[found[1]], name) if _ODD in name else name


def read_label(name: str) -> tuple[str, str]:
    """Column and label of an unknown label's name."""
    found = _LABEL.fullmatch(name)
    return (_MARKED.sub(r"\1", found[1]), found[2]) if found else (name, "")


def _mark(found: re.Match[str]) -> str:
    return f"\\{found[1]}"
