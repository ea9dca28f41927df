"""Pure values and decisions of the schema monitor; no I/O."""
