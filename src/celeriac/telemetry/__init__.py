"""What the service tells about itself: logs and traces. Nothing is imported until it is configured."""
