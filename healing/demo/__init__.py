"""Traffic for people who look at Mendgate for the first time."""
