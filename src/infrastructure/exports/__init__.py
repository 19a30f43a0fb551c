"""Files of exported data."""
