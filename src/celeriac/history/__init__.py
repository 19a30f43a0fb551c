"""What happened to each task."""
