"""A tour of the registry, for newcomers."""
