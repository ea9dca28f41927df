"""Tells people and programs about schema changes: who wants to know (subscriptions), what is due (outbox), how it went (deliveries)."""
