"""The dashboard's pages. Each is a door: it parses, calls one function of the model layer, and renders."""

from healing.admin import (
    alert_messages,
    assist_runs,
    breakers,
    decisions,
    keys,
    policies,
    prompts,
    proposals,
    quarantine,
    queues,
    receipts,
    replays,
    rules,
    schema_change,
    schema_versions,
    subscriptions,
)

__all__ = [
    "alert_messages",
    "assist_runs",
    "breakers",
    "decisions",
    "keys",
    "policies",
    "prompts",
    "proposals",
    "quarantine",
    "queues",
    "receipts",
    "replays",
    "rules",
    "schema_change",
    "schema_versions",
    "subscriptions",
]
