"""What words in database names mean: abbreviations, synonyms, translations, opposites, units, and words that are traps.

The words are in ``lexicon.txt``, for people to edit; they are read once, at import, as constants of the program.

``[abbreviations]``   ``short=word`` each
``[synonyms]``        one group a line: words that are used for each other; a word may be in many groups
``[translations]``    ``english=word,word`` each: all of them synonyms, of columns and of labels
``[label synonyms]``  groups for the values of enums and check lists
``[opposites]``       words that name two different things of one kind
``[units]`` ``[statistics]``  ``kind: words``
``[secrecy]`` ``[privilege]`` words that change what a value means, or what it allows
``[people]``          words for whoever does something: ``user_id``, ``created_by``
``[obsolete]``        words by which people mark a column that is on its way out
``[qualifiers]``      words that make another thing of a name: ``cost price`` is not ``price``
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib.resources import files

Pair = tuple[str, str]


def _sections() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in files(__package__).joinpath("lexicon.txt").read_text("utf-8").splitlines():
        if line.startswith("["):
            lines = found.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            lines.append(line)
    return found


def _words(lines: Iterable[str]) -> list[str]:
    return [word for line in lines for word in line.split()]


def _pairs(groups: Iterable[Iterable[str]]) -> Iterator[Pair]:
    """Every two different words of each group, both ways round."""
    for group in groups:
        words = list(group)
        yield from ((one, other) for one in words for other in words if one != other)


def _kinds(lines: Iterable[str]) -> dict[str, str]:
    """word -> its kind"""
    split = (line.split(":", 1) for line in lines)
    return {word: kind for kind, words in split for word in words.split()}


def _translated(lines: Iterable[str]) -> list[list[str]]:
    return [entry.replace("=", ",").split(",") for entry in _words(lines)]


_SECTIONS = _sections()
_TRANSLATIONS = frozenset(_pairs(_translated(_SECTIONS["translations"])))

ABBREVIATIONS: dict[str, str] = {short: word for short, _, word in (e.partition("=") for e in _words(_SECTIONS["abbreviations"]))}
SYNONYM_PAIRS: frozenset[Pair] = frozenset(_pairs(line.split() for line in _SECTIONS["synonyms"])) | _TRANSLATIONS
LABEL_PAIRS: frozenset[Pair] = frozenset(_pairs(line.split() for line in _SECTIONS["label synonyms"])) | _TRANSLATIONS
OPPOSITE_PAIRS: frozenset[Pair] = frozenset(_pairs(line.split() for line in _SECTIONS["opposites"]))
UNITS: dict[str, str] = _kinds(_SECTIONS["units"])
STATISTIC: dict[str, str] = _kinds(_SECTIONS["statistics"])
SECRECY: frozenset[str] = frozenset(_words(_SECTIONS["secrecy"]))
PRIVILEGE: frozenset[str] = frozenset(_words(_SECTIONS["privilege"]))
PEOPLE: frozenset[str] = frozenset(_words(_SECTIONS["people"]))
OBSOLETE: frozenset[str] = frozenset(_words(_SECTIONS["obsolete"]))
QUALIFIERS: frozenset[str] = frozenset(_words(_SECTIONS["qualifiers"]))
