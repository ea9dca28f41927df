"""Findings as SARIF 2.1.0: what code-scanning services read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from urllib.parse import quote

from healing.core.sources.findings import RULES, Finding
from healing.core.types import Json

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(findings: Iterable[Finding], base: str, version: str = "0.1.0") -> dict[str, Json]:
    """One run. ``base`` is the scanned folder as the repository calls it (``supabase/functions``); '' = the paths stand alone."""
    ids = [rule.id for rule in RULES.values()]
    driver = {
        "name": "mendgate",
        "semanticVersion": version,
        "informationUri": "https://github.com/mendgate",
        "rules": [_rule(name) for name in RULES],
    }
    results = [_result(finding, ids.index(finding.id), base) for finding in findings]
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }


def _rule(name: str) -> dict[str, Json]:
    rule = RULES[name]
    help_text = f"{rule.says}{f' The database answers {rule.code}.' if rule.code else ''}"
    return {
        "id": rule.id,
        "name": "".join(word.title() for word in name.split("-")),
        "shortDescription": {"text": rule.says},
        "fullDescription": {"text": help_text},
        "help": {"text": help_text},
        "defaultConfiguration": {"level": str(rule.level)},
    }


def _result(finding: Finding, index: int, base: str) -> dict[str, Json]:
    path = f"{base.strip('/')}/{finding.place.file}" if base.strip("/") else finding.place.file
    text = finding.message[:1].upper() + finding.message[1:] + "." + (f" Fix: {finding.fix}" if finding.fix else "")
    return {
        "ruleId": finding.id,
        "ruleIndex": index,
        "level": str(finding.level),
        "message": {"text": text},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(path)},
                    "region": {"startLine": finding.place.line, "startColumn": finding.place.column},
                }
            }
        ],
        "partialFingerprints": {"mendgate/v1": _fingerprint(finding)},
    }


def _fingerprint(finding: Finding) -> str:
    """The same for the same mistake, also when lines above it come and go."""
    same = "\0".join((finding.id, finding.place.file, finding.table, finding.column, finding.message))
    return hashlib.sha256(same.encode()).hexdigest()[:32]
