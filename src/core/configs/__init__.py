"""What the service is told, and what it sets up first."""
