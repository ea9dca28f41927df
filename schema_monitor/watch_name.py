"""How others see that the schema watcher watches. Free of Django: ``up`` looks for it."""

WATCHING = "mendgate watching"
"""The application_name of the watcher's connection to the control database, once it listens and has captured."""
