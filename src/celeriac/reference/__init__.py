"""Pages written from the code that they describe."""
