"""The AI tier's pure half: what a model is told, what it may answer, and when its answer counts.

    facts + choices -> prompt, answer_schema -> (the model) -> read_answer -> check -> agree -> why_not

A model sees names, types and shapes, never a value. It may answer only in ops of the fix language over names that exist, for exactly
what does not fit. Everything that users made (names, comments) is data: cleaned, bounded and quoted as JSON.
"""

from __future__ import annotations

from .agree import Agreement, agree
from .answer import Answered, answer_schema, read_answer
from .check import check
from .choices import Choice, choices
from .facts import Example, Facts, facts_of
from .gates import Case, Proof, why_not
from .prompt import BUILTIN, Parts, messages, most_tokens

__all__ = [
    "BUILTIN",
    "Agreement",
    "Answered",
    "Case",
    "Choice",
    "Example",
    "Facts",
    "Parts",
    "Proof",
    "agree",
    "answer_schema",
    "check",
    "choices",
    "facts_of",
    "messages",
    "most_tokens",
    "read_answer",
    "why_not",
]
