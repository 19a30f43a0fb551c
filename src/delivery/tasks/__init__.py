"""The way in through a queue."""
