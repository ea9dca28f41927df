"""Faults on purpose: a scratch Mendgate of its own under mixed traffic, broken in chosen ways, and every request accounted for."""
