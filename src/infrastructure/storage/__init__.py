"""Where files are kept: a directory, or a bucket."""
