"""How calls become messages on Redis: one round trip each, within a budget."""
