"""Policies that act around a task: how often it may start, how many at once, which calls are one, and until when."""
