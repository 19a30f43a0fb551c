"""Pools whose tasks run in the process of the worker: threads and solo."""
