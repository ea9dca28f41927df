"""What the next release of ours might add to the control database, as an app of its own: used by the test of a rolling upgrade."""
