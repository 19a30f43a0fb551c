"""Each file holds the tasks of one subject."""
