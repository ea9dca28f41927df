"""What proposed DDL would do to callers, tried on a copy."""
