"""Changing the database from release to release."""
