"""``up`` runs everything, ``doctor`` says what is wrong; ``rqworker`` and ``rqcron`` have our defaults."""
