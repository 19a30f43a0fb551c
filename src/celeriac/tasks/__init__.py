"""Declare, call and run tasks."""
