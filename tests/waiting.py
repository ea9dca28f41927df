"""How long a test waits for what must come."""

from __future__ import annotations

HANGS = 120.0
"""Seconds after which nothing more is to be hoped for. No promise: a busy machine may take any time below it. What is promised in
seconds is measured by ``make bench``."""
