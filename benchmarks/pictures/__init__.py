"""Pictures of every page a person can reach, and what axe-core says of them. ``python -m benchmarks.pictures`` (``make screenshots``)."""
