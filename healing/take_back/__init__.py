"""All writes that a rule healed, taken back in one order: newest first, each as whoever wrote it, conflicts told."""
