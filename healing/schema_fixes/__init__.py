"""Schema proposals as people meet them: gathered from what waits, decided, run where the operator allowed it, and followed until the rows
land."""
