"""Reads the source of edge functions: which calls they make, and what a patch would change. Calls in, files untouched."""
