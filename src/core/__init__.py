"""The service itself: use cases and the ports they need. Plain Python."""
