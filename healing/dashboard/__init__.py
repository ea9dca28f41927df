"""What the dashboard says: the numbers beside their targets, what would move them, what became of every write."""
