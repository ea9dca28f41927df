"""Why a proposal is believed or doubted, in plain words."""

from __future__ import annotations

from operator import itemgetter

from .features import Pair


def for_pair(pair: Pair) -> tuple[str, ...]:
    """What speaks for a key being meant for a column."""
    key, target = pair.key, pair.target
    found = _words(pair)
    if key.shape != "null" and pair.fit >= 0.9:
        found.append(f"the value looks like {_a(key.shape)} and the column is {target.column.type}")
    if target.required:
        found.append(f"{target.column.name} is required and nothing else supplies it")
    return tuple(found)


def against_pair(pair: Pair) -> tuple[str, ...]:
    """What speaks against it."""
    found = list(pair.traps)
    if not _words(pair):
        found.append("the names share no word")
    if pair.key.shape != "null" and pair.fit < 0.5:
        found.append(f"{_a(pair.key.shape)} in a column of type {pair.target.column.type}")
    if pair.labels is not None and isinstance(pair.key.value, str) and pair.key.value not in pair.labels:
        found.append(f"{pair.target.column.name} takes only {', '.join(pair.labels[:6])}")
    return tuple(found)


def _words(pair: Pair) -> list[str]:
    key, column = pair.key.name, pair.target.reading.name
    if key.letters == column.letters:
        return ["the same name in another spelling"]
    same, kin = [], []
    for word, known in zip(key.words, pair.alike, strict=True):
        likeness, other = max([(known.get(o, 0.0), o) for o in column.words], key=itemgetter(0), default=(0.0, ""))
        if likeness >= 0.85:
            same.append(word)
        elif likeness >= 0.5:
            begin = other.startswith(word) or word.startswith(other)
            kin.append(f"'{word}' and '{other}' begin alike" if begin else f"'{word}' is used for '{other}'")
    return ([f"both say {' '.join(same)}"] if same else []) + kin


def _a(shape: str) -> str:
    words = {
        "moment": "a point in time",
        "int": "a whole number",
        "decimal": "a number",
        "word": "a word",
        "prose": "a text",
        "object": "an object",
        "array": "a list",
        "bool": "true or false",
        "uuid": "a UUID",
        "email": "an email address",
        "url": "a URL",
        "address": "an IP address",
        "phone": "a phone number",
        "json_text": "JSON text",
        "number_text": "digits in a text",
        "empty": "an empty text",
    }
    return words.get(shape, f"a {shape}")
