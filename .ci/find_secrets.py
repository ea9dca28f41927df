"""Looks for secrets in what git keeps: python .ci/find_secrets.py [DIRECTORY]. Ends with 1 where it finds one. A few seconds.

The forms are detect-secrets' own (keys of clouds, tokens of services, private keys, passwords in URLs), looked for in whole files and not
line by line, which takes a tenth of its time; and random-looking strings, and API keys of ours, whose checksum tells a real one.
What is known to be made up stands in known-strings.txt as a hash, with why.
"""

from __future__ import annotations

import hashlib
import math
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from detect_secrets.plugins.base import RegexBasedDetector
from detect_secrets.settings import default_settings, get_plugins

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from healing.gateway import keytext  # noqa: E402

KNOWN = Path(__file__).with_name("known-strings.txt")
SKIPPED = re.compile(
    r"(^|/)(requirements[\w-]*\.txt|package-lock\.json|deno\.lock|known-strings\.txt)$|/vendor/|\.(png|webp|svg|gz|woff2?|ico|csv|jsonl)$"
)
TOO_VAGUE = ("IPPublicDetector", "KeywordDetector", "Base64HighEntropyString", "HexHighEntropyString")
OURS = re.compile(r"mg_[0-9A-Za-z]{8}_[0-9A-Za-z]{42,}")
SUPABASE = re.compile(r"\bsb(?:p|_secret)_[0-9A-Za-z_-]{20,}")
QUOTED = re.compile(r"""(["'=:\s])([A-Za-z0-9+/_-]{32,}={0,2})(?:["'\s]|$)""")
RANDOM = 4.5
"""Bits a character. Names, paths and words have fewer; 32 random characters of 64 have about 4.6."""
WORDY = 3.3
"""A password in a URL with fewer bits a character, or shorter than ten, is an example's: password, secret, postgres."""


class Found(NamedTuple):
    """``text`` is never shown whole."""

    path: str
    line: int
    kind: str
    text: str

    @property
    def mark(self) -> str:
        """What known-strings.txt would hold."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:24]

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.kind}: {self.text[:4]}… ({self.mark})"


def search(path: str, text: str) -> Iterator[Found]:
    """Everything in one file that looks like a secret."""
    with default_settings():
        forms = [(type(p).__name__, r) for p in get_plugins() if isinstance(p, RegexBasedDetector) for r in p.denylist]
    for kind, form in forms:
        if kind not in TOO_VAGUE:
            yield from (Found(path, _line(text, m), kind, m[0]) for m in form.finditer(text) if not _is_example(kind, m))
    yield from (Found(path, _line(text, m), "API key of Mendgate", m[0]) for m in OURS.finditer(text) if keytext.check(m[0]))
    yield from (Found(path, _line(text, m), "Supabase key", m[0]) for m in SUPABASE.finditer(text) if entropy(m[0]) > 4)
    yield from (Found(path, _line(text, m), "random string", m[2]) for m in QUOTED.finditer(text) if _is_random(m[2]))


def entropy(text: str) -> float:
    """Shannon's, in bits a character.

    >>> entropy("aaaa"), entropy("abcd")
    (-0.0, 2.0)
    """
    counts = Counter(text).values()
    return -sum(n / len(text) * math.log2(n / len(text)) for n in counts)


def _is_example(kind: str, match: re.Match[str]) -> bool:
    if kind == "GitHubTokenDetector":
        return not any(map(str.isdigit, match[0]))  # a test's long name may end in ghs_
    if kind != "BasicAuthDetector":
        return False
    password = next(group for group in match.groups() if group)
    return len(password) < 10 or entropy(password) < WORDY or bool(set(password) & set("{$<…"))


def _is_random(text: str) -> bool:
    kinds = (str.isdigit, str.islower, str.isupper)
    return all(any(is_kind(c) for c in text) for is_kind in kinds) and entropy(text) > RANDOM


def _line(text: str, match: re.Match[str]) -> int:
    return text.count("\n", 0, match.start()) + 1


def kept(directory: Path) -> Iterator[tuple[str, str]]:
    """Every text file that git keeps or would: path and text."""
    words = ["git", "-C", str(directory), "ls-files", "-co", "--exclude-standard", "-z"]
    for path in subprocess.run(words, capture_output=True, text=True, check=True).stdout.split("\0"):
        if path and not SKIPPED.search(path) and (directory / path).is_file():
            try:
                yield path, (directory / path).read_text("utf-8")
            except UnicodeDecodeError:
                continue


def main(directory: Path) -> str | None:
    """None where nothing is found."""
    known = {line.split()[0] for line in KNOWN.read_text("utf-8").splitlines() if line and not line.startswith("#")}
    found = sorted({each for path, text in kept(directory) for each in search(path, text) if each.mark not in known})
    if not found:
        return None
    lines = "\n".join(map(str, found))
    return (
        f"{lines}\nA secret? Take it out, and make a new one: git has it already. Made up? Add its mark to .ci/known-strings.txt, with why."
    )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT))
