"""Evidence of policy ``certified``: what was decided about the matcher's proposals, as rows."""
