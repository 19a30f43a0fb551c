"""Real servers and workers, broken on purpose, and an account of what became of every task."""
