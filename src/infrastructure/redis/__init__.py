"""Redis, for what use cases keep there themselves."""
