"""Doors: parse, call one function, print."""
