"""Removing what is not needed any more."""
