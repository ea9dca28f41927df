"""Knows the target's schema: versions, changes, and what every name ever meant."""
