"""The single numbers that may be tuned. Each exists, and is followed live by every process, outside of the optimizer, too."""

from __future__ import annotations

from optimizer.core.guard import Knob

CACHE = Knob(name="ai_cache_seconds", title="AI answers are kept for", unit="seconds", low=60, high=86_400, group="ai answers")
RETRIES = Knob(name="ai_retry_ratio", title="Retries per request", unit="retries", low=0.05, high=1.0, group="ai answers")
WATCH = Knob(name="watch_seconds", title="The schema is looked at every", unit="seconds", low=0.25, high=5.0, group="schema")
BATCH = Knob(name="batch_rows", title="Rows in one insert statement, at most", unit="rows", low=50, high=2000, group="writes", whole=True)
KNOBS = {knob.name: knob for knob in (CACHE, RETRIES, WATCH, BATCH)}
