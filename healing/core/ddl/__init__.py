"""What the schema would need so that writes fit: proposals of DDL, made from what callers sent. Values in, SQL out; nothing runs here.

Names come from the catalog, or are checked (``naming``); every identifier and literal is quoted.
"""

from __future__ import annotations

from healing.core.ddl.cause import Cause, Part, parts_of
from healing.core.ddl.instead import Instead, instead_of
from healing.core.ddl.migration import file_name, file_text
from healing.core.ddl.propose import schema_proposals
from healing.core.ddl.remedy import SchemaProposal
from healing.core.ddl.settled import settled

__all__ = [
    "Cause", "Instead", "Part", "SchemaProposal", "file_name", "file_text", "instead_of", "parts_of", "schema_proposals", "settled",
]  # fmt: skip
