"""What fulfils core's ports: each folder is one kind of outside."""
