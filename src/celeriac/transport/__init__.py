"""How messages and results travel."""
